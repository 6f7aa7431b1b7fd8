use overlay_core::property::PropertySpec;
use overlay_core::protocol::PluginInfo;

use super::overlay_plan::plugin;
use super::overlay_rows::{possible, typed};
use crate::cli::ShowSearch;
use crate::error::{Error, Failure};
use crate::session::Session;
use crate::table::{Cell, Column, Style};

pub(super) const COLUMNS: [Column; 7] = [
    Column::new("PLUGIN", 13),
    Column::new("PROPERTY", 19),
    Column::new("PERM", 5),
    Column::new("REQ", 4),
    Column::new("DEFAULT", 10),
    Column::new("POSSIBLE", 11),
    Column::new("DESCRIPTION", 80),
];

/// Shows what varpd's search plugins can be given.
pub(super) fn run(arguments: &ShowSearch, session: &mut Session<'_>) -> Result<(), Error> {
    let (fields, style) = (arguments.format.fields.as_deref(), arguments.format.style(Style::Wrapped));
    let mut printer = session.printer("show-search", &COLUMNS, fields, style)?;
    let what = "cannot show search plugins";
    let plugins = session.daemons.searches().map_err(|error| Failure::of_daemon(what, &error))?;
    let shown = match &arguments.plugin {
        Some(name) => vec![plugin(&plugins, "search", name).map_err(|error| Failure::new(what, error))?],
        None => plugins.iter().collect(),
    };
    let rows: Vec<_> = shown.into_iter().flat_map(rows).collect();
    let text = printer.render(&rows);
    Ok(session.show(&text)?)
}

/// A row for each property; one without for a plugin that has none.
fn rows(plugin: &PluginInfo) -> Vec<Vec<Cell>> {
    if plugin.properties.is_empty() {
        let mut row = vec![Cell::empty(); COLUMNS.len()];
        row[0] = Cell::text(&plugin.name);
        return vec![row];
    }
    plugin.properties.iter().map(|spec| row(plugin, spec)).collect()
}

fn row(plugin: &PluginInfo, spec: &PropertySpec) -> Vec<Cell> {
    vec![
        Cell::text(&plugin.name),
        Cell::text(&spec.name),
        Cell::text(spec.permission.flags()),
        Cell::flag(spec.required),
        typed(spec, spec.default.as_deref()),
        possible(spec),
        Cell::text(&spec.doc),
    ]
}

#[cfg(test)]
mod tests {
    use overlay_core::property::{Kind, Possible};

    use super::super::twin::Twin;
    use super::*;

    const TABLE: &str = "\
PLUGIN       PROPERTY           PERM REQ DEFAULT   POSSIBLE   DESCRIPTION
direct       direct/dest_ip     rw   y   --        --         address
direct       direct/dest_port   rw   y   --        1-65535    port
";

    #[test]
    fn search_plugins_are_shown_with_their_properties() {
        for arguments in ["show-search", "show-search direct", "show-search -o all"] {
            let mut twin = Twin::default();
            let ran = twin.run(arguments);
            assert_eq!((ran.status, &*ran.out, &*ran.err), (0, TABLE, ""));
            assert_eq!(twin.asked, ["Plugins"]);
        }
    }

    #[test]
    fn scripts_and_programs_read_them() {
        let ran = Twin::default().run("show-search -p -o property,req,default,possible direct");
        assert_eq!(ran.out, "direct/dest_ip:y::\ndirect/dest_port:y::1-65535\n");
        let ran = Twin::default().run("show-search --json -o plugin,req,default,possible");
        let line = r#"{"plugin": "direct", "req": true, "default": null, "possible": "1-65535"}"#;
        assert!(ran.out.contains(line), "{}", ran.out);
    }

    #[test]
    fn a_plugin_without_properties_is_shown_too() {
        let plugin = PluginInfo { name: "none".into(), properties: Vec::new() };
        let rows = rows(&plugin);
        assert_eq!((rows.len(), &rows[0][0], &rows[0][6]), (1, &Cell::text("none"), &Cell::empty()));
    }

    #[test]
    fn a_default_is_typed_by_its_kind() {
        let plugin = PluginInfo { name: "x".into(), properties: Vec::new() };
        let spec = PropertySpec::new("x/n", Kind::Uint, Possible::Any, Some("7"), "number").read_only();
        let row = row(&plugin, &spec);
        assert_eq!((&row[2], &row[4]), (&Cell::text("r-"), &Cell::number(7u32)));
    }

    #[test]
    fn an_unknown_plugin_is_told_with_the_known_ones() {
        let ran = Twin::default().run("show-search svp");
        let expected =
            "dladm: cannot show search plugins: unknown search plugin 'svp' (known ones: direct)\n";
        assert_eq!((ran.status, &*ran.err), (1, expected));
    }
}
