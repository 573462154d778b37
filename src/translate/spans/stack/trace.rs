//! The content of a stack trace.

use std::borrow::Cow;

/// One call. X-Ray requires all three fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackFrame<'a> {
    pub path: Cow<'a, str>,
    pub label: Cow<'a, str>,
    /// 0 if unknown.
    pub line: i64,
}

impl<'a> StackFrame<'a> {
    pub(super) fn new(path: &'a str, label: &'a str, line: i64) -> Self {
        StackFrame { path: Cow::Borrowed(path), label: Cow::Borrowed(label), line }
    }

    fn into_owned(self) -> StackFrame<'static> {
        StackFrame { path: owned(self.path), label: owned(self.label), line: self.line }
    }
}

/// An exception that caused the previous one in the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CauseException<'a> {
    pub kind: Cow<'a, str>,
    pub message: Cow<'a, str>,
    pub frames: Vec<StackFrame<'a>>,
    /// Whether it did not cause the previous exception, but is another one of the same group.
    pub is_sibling: bool,
}

/// The frames of an exception, deepest call first, and the chain of its causes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackTrace<'a> {
    pub frames: Vec<StackFrame<'a>>,
    pub causes: Vec<CauseException<'a>>,
}

impl<'a> StackTrace<'a> {
    /// Returns the frames of the last exception.
    pub(super) fn current(&mut self) -> &mut Vec<StackFrame<'a>> {
        match self.causes.last_mut() {
            Some(cause) => &mut cause.frames,
            None => &mut self.frames,
        }
    }

    /// Whether the parser recognized nothing.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.causes.is_empty()
    }

    pub(in crate::translate::spans) fn into_owned(self) -> StackTrace<'static> {
        let frames = |frames: Vec<StackFrame<'a>>| frames.into_iter().map(StackFrame::into_owned).collect();
        let cause = |cause: CauseException<'a>| CauseException {
            kind: owned(cause.kind),
            message: owned(cause.message),
            frames: frames(cause.frames),
            is_sibling: cause.is_sibling,
        };
        StackTrace { frames: frames(self.frames), causes: self.causes.into_iter().map(cause).collect() }
    }
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}
