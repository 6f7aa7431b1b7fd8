/// Why properties were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// No table that applies has the name.
    #[error("unknown property '{name}' (known ones: {known})")]
    Unknown {
        /// What was given.
        name: String,
        /// What there is, separated by commas.
        known: String,
    },
    /// The property was given twice, or with several values.
    #[error("property '{0}' was given more than one value")]
    Repeated(String),
    /// Required properties were not given; all of them are named.
    #[error("required properties are missing: {0}")]
    Missing(String),
    /// The property is only shown.
    #[error("property '{0}' is read-only")]
    ReadOnly(String),
    /// The text is no value of the property.
    #[error("property '{name}' cannot be '{value}': {reason}")]
    BadValue {
        /// The property.
        name: String,
        /// What was given.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A piece of a property list is not of the form `name=value`.
    #[error("'{0}' is not of the form PROPERTY=VALUE")]
    NotAnAssignment(String),
}
