//! Names with `*` and `?`.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(String);

impl Pattern {
    /// `None` for what can match no name.
    pub(super) fn new(text: &str) -> Option<Pattern> {
        let is_legal = |char: char| char.is_alphanumeric() || "_:.*?-/".contains(char);
        (!text.is_empty() && text.chars().all(is_legal)).then(|| Pattern(text.to_owned()))
    }

    pub(super) fn is_exact(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// Whether all of the name is matched. Takes time in proportion to the product of the lengths at worst.
    pub(super) fn matches(&self, name: &str) -> bool {
        if self.is_exact() {
            return self.0 == name;
        }
        let (mut pattern, mut rest) = (self.0.chars(), name.chars());
        // Where to go on when what follows the last star does not match here: one character further.
        let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
        loop {
            let wanted = pattern.clone().next();
            if wanted == Some('*') {
                pattern.next();
                retry = Some((pattern.clone(), rest.clone()));
                continue;
            }
            let met = rest.next();
            if wanted.is_none() && met.is_none() {
                return true;
            }
            if met.is_some() && (wanted == met || wanted == Some('?')) {
                pattern.next();
                continue;
            }
            let Some((behind_star, from)) = &mut retry else { return false };
            if from.next().is_none() {
                return false;
            }
            (pattern, rest) = (behind_star.clone(), from.clone());
        }
    }
}
