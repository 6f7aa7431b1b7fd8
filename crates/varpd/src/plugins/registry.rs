use std::sync::Arc;

use overlay_core::protocol::{ControlError, ErrorCode, PluginInfo};

use super::{PLUGINS, Plugin};

/// The search plugins there are: those that are part of varpd, and those from outside.
pub struct Registry {
    plugins: Vec<Arc<dyn Plugin>>,
}

impl Registry {
    /// The built-in ones and `outside`. A name is the first one's that has it, built-in ones before others.
    pub fn new(outside: Vec<Arc<dyn Plugin>>) -> Self {
        let mut registry = Self { plugins: PLUGINS.iter().map(|plugin| Arc::new(*plugin) as _).collect() };
        for plugin in outside {
            if registry.find(plugin.name()).is_ok() {
                tracing::warn!("there is another search plugin '{}'; this one is not used", plugin.name());
            } else {
                registry.plugins.push(plugin);
            }
        }
        registry
    }

    /// Adds plugins from outside, in the place of those from outside that have their names.
    pub fn extend(&mut self, outside: Vec<Arc<dyn Plugin>>) {
        for plugin in outside {
            match self.plugins.iter().position(|known| known.name() == plugin.name()) {
                Some(place) if place >= PLUGINS.len() => self.plugins[place] = plugin,
                Some(_) => {}
                None => self.plugins.push(plugin),
            }
        }
    }

    /// The plugin of a name.
    ///
    /// # Errors
    /// There is none; the error lists those there are.
    pub fn find(&self, name: &str) -> Result<Arc<dyn Plugin>, ControlError> {
        let found = self.plugins.iter().find(|plugin| plugin.name() == name);
        found.cloned().ok_or_else(|| {
            let problem = format!("unknown search plugin '{name}' (known ones: {})", self.names());
            ControlError::new(ErrorCode::NotFound, problem)
        })
    }

    /// The plugins as clients see them.
    pub fn describe(&self) -> Vec<PluginInfo> {
        let describe = |plugin: &Arc<dyn Plugin>| PluginInfo {
            name: plugin.name().to_owned(),
            properties: plugin.properties().to_vec(),
        };
        self.plugins.iter().map(describe).collect()
    }

    fn names(&self) -> String {
        self.plugins.iter().map(|plugin| plugin.name()).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::twin::Twin;

    #[test]
    fn an_unknown_plugin_is_refused_with_the_known_ones() {
        let error = Registry::new(Vec::new()).find("telepathy").err().unwrap();
        assert!(error.message.contains("'telepathy' (known ones: direct"), "{error}");
    }

    #[test]
    fn plugins_from_outside_stand_beside_the_built_in_ones() {
        let registry = Registry::new(vec![Arc::new(Twin::named("other"))]);
        for name in ["direct", "other"] {
            assert_eq!(registry.find(name).unwrap().name(), name);
            assert!(registry.describe().iter().any(|plugin| plugin.name == name));
        }
    }

    #[test]
    fn later_plugins_replace_those_of_their_names_and_no_others() {
        let mut registry = Registry::new(vec![Arc::new(Twin::named("x")), Arc::new(Twin::named("y"))]);
        let later: Arc<dyn Plugin> = Arc::new(Twin::named("y"));
        registry.extend(vec![
            Arc::clone(&later),
            Arc::new(Twin::named("z")),
            Arc::new(Twin::named("direct")),
        ]);
        assert_eq!(registry.describe().len(), PLUGINS.len() + 3);
        assert!(Arc::ptr_eq(&registry.find("y").unwrap(), &later));
        assert_eq!(registry.find("direct").unwrap().mode(), crate::plugins::Mode::Point);
    }

    #[test]
    fn a_name_has_one_plugin_and_the_built_in_one_first() {
        let outside: Vec<Arc<dyn Plugin>> =
            vec![Arc::new(Twin::named("direct")), Arc::new(Twin::named("x")), Arc::new(Twin::named("x"))];
        let registry = Registry::new(outside);
        assert_eq!(registry.describe().len(), PLUGINS.len() + 1);
        assert_eq!(registry.find("direct").unwrap().mode(), crate::plugins::Mode::Point);
    }
}
