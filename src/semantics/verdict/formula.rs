//! Formulas over questions about a call: what a rule comes down to.

/// A question, by its number in [`super::question::Questions`].
pub(super) type Id = u32;

/// A formula in which constants are gone as soon as they arise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Formula {
    True,
    False,
    Is(Id),
    Not(Box<Formula>),
    All(Vec<Formula>),
    Any(Vec<Formula>),
}

impl Formula {
    /// Whether all of these hold; nothing holds.
    pub(super) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Self::True => {}
                Self::False => return Self::False,
                Self::All(inner) => kept.extend(inner),
                other => kept.push(other),
            }
        }
        match kept.len() {
            0 => Self::True,
            1 => kept.remove(0),
            _ => Self::All(kept),
        }
    }

    /// Whether one of these holds; of none, none does.
    pub(super) fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Self::False => {}
                Self::True => return Self::True,
                Self::Any(inner) => kept.extend(inner),
                other => kept.push(other),
            }
        }
        match kept.len() {
            0 => Self::False,
            1 => kept.remove(0),
            _ => Self::Any(kept),
        }
    }

    /// The opposite.
    pub(super) fn not(part: Self) -> Self {
        match part {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// A constant.
    pub(super) const fn constant(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }

    /// What is left of it when some questions are answered.
    pub(super) fn given(&self, answer: &impl Fn(Id) -> Option<bool>) -> Self {
        match self {
            Self::True => Self::True,
            Self::False => Self::False,
            Self::Is(id) => answer(*id).map_or(Self::Is(*id), Self::constant),
            Self::Not(inner) => Self::not(inner.given(answer)),
            Self::All(parts) => Self::all(parts.iter().map(|part| part.given(answer))),
            Self::Any(parts) => Self::any(parts.iter().map(|part| part.given(answer))),
        }
    }

    /// Calls `each` with every question in it, in order; one may come twice.
    pub(super) fn questions(&self, each: &mut impl FnMut(Id)) {
        match self {
            Self::True | Self::False => {}
            Self::Is(id) => each(*id),
            Self::Not(inner) => inner.questions(each),
            Self::All(parts) | Self::Any(parts) => {
                for part in parts {
                    part.questions(each);
                }
            }
        }
    }
}
