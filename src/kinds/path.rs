//! The path of a field inside an object.

use std::fmt;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A key of a map.
    Key(String),
    /// A position in a list, from 0.
    Index(usize),
}

impl From<&str> for Segment {
    fn from(key: &str) -> Self {
        Segment::Key(key.to_owned())
    }
}

impl From<usize> for Segment {
    fn from(index: usize) -> Self {
        Segment::Index(index)
    }
}

/// Where a field stands: `spec.rules[0].to`, `metadata.labels["istio.io/rev"]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<Segment>);

impl FieldPath {
    /// The object itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// The path of these steps.
    pub fn new(segments: impl Into<Vec<Segment>>) -> Self {
        Self(segments.into())
    }

    /// This path and one step more.
    #[must_use]
    pub fn then(&self, segment: impl Into<Segment>) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment.into());
        Self(segments)
    }

    /// The path of a label.
    pub fn label(key: &str) -> Self {
        field!["metadata", "labels", key]
    }

    /// The path of an annotation.
    pub fn annotation(key: &str) -> Self {
        field!["metadata", "annotations", key]
    }

    /// Its steps from the object's root.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether it is the object itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) if key.contains(['.', '/', '[']) => write!(f, "[\"{key}\"]")?,
                Segment::Key(key) if position == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

/// Writes a [`FieldPath`]: `field!["spec", "rules", 0, "to"]`.
macro_rules! field {
    ($($segment:expr),* $(,)?) => {
        $crate::kinds::FieldPath::new(vec![$($crate::kinds::Segment::from($segment)),*])
    };
}
pub(crate) use field;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_people_write_them() {
        assert_eq!(
            field!["spec", "rules", 0, "to", 1].to_string(),
            "spec.rules[0].to[1]"
        );
        assert_eq!(
            FieldPath::label("istio.io/rev").to_string(),
            "metadata.labels[\"istio.io/rev\"]"
        );
        assert_eq!(FieldPath::label("app").to_string(), "metadata.labels.app");
        assert_eq!(FieldPath::root().to_string(), "");
    }
}
