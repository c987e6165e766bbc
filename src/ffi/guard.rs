//! Panic to code, error to code and last-error text: the only place where either happens.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::bmc::FOREVER;
use crate::error::{Error, ErrorKind, Result};

/// What a call gives, and how C gets it.
pub(super) trait Answer {
    /// The type in C.
    type C;

    /// The answer of a call that worked.
    fn done(self) -> Self::C;

    /// The answer of a call that failed with `code`.
    fn failed(code: i32) -> Self::C;
}

/// Runs the body of an exported function: a panic ends here, and an error becomes a code and
/// this thread's last error. A call that works leaves the last error alone.
pub(super) fn guard<T: Answer>(body: impl FnOnce() -> Result<T>) -> T::C {
    // What a panic leaves half done is behind locks that do not poison, and its owner checks it.
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = format!("internal error: {}", panic_text(&*panic));
        Err(Error::with_text(ErrorKind::Internal, text))
    });
    match result {
        Ok(answer) => answer.done(),
        Err(error) => T::failed(remember(error)),
    }
}

/// Makes an error this thread's last one, and gives its code.
pub(super) fn remember(error: Error) -> i32 {
    let code = error.kind().code();
    LastError::set(error);
    code
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic")
}

/// Nothing but success: 0.
impl Answer for () {
    type C = i32;

    fn done(self) -> i32 {
        0
    }

    fn failed(code: i32) -> i32 {
        code
    }
}

/// A small number, 0 or more.
pub(super) struct Number(pub i32);

impl Answer for Number {
    type C = i32;

    fn done(self) -> i32 {
        self.0
    }

    fn failed(code: i32) -> i32 {
        code
    }
}

/// A count, 0 or more.
pub(super) struct Count(pub u64);

impl Answer for Count {
    type C = i64;

    fn done(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    fn failed(code: i32) -> i64 {
        code.into()
    }
}

/// A text that outlives the call. Never NULL.
impl Answer for *const c_char {
    type C = *const c_char;

    fn done(self) -> *const c_char {
        self
    }

    fn failed(_: i32) -> *const c_char {
        c"".as_ptr()
    }
}

/// A text that may not be there, as it is not when the call failed.
pub(super) struct MaybeText(pub *const c_char);

impl Answer for MaybeText {
    type C = *const c_char;

    fn done(self) -> *const c_char {
        self.0
    }

    fn failed(_: i32) -> *const c_char {
        std::ptr::null()
    }
}

/// The time a caller is willing to wait: negative is for ever.
pub(super) fn timeout(ms: i64) -> Duration {
    u64::try_from(ms).map_or(FOREVER, Duration::from_millis)
}

/// Why the last call of a thread that failed did so.
#[derive(Default)]
pub(super) struct LastError {
    error: Option<Error>,
    /// Made when asked for, so that polling costs no allocation.
    text: Option<CString>,
    advice: Option<CString>,
}

thread_local! {
    static LAST_ERROR: RefCell<LastError> = RefCell::default();
}

impl LastError {
    /// Makes an error this thread's last one.
    pub fn set(error: Error) {
        let new = LastError { error: Some(error), ..LastError::default() };
        // A thread that is ending has nobody left to tell.
        let _ = LAST_ERROR.try_with(|last| last.replace(new));
    }

    /// What `question` finds out, or `otherwise` when there was no error.
    pub fn ask<T>(otherwise: T, question: impl FnOnce(&Error) -> T) -> T {
        let ask = |last: &RefCell<LastError>| last.borrow().error.as_ref().map(question);
        LAST_ERROR.try_with(ask).ok().flatten().unwrap_or(otherwise)
    }

    /// The error's text, valid until the next error of this thread.
    pub fn text() -> *const c_char {
        Self::remembered(|last| (&last.error, &mut last.text), Error::to_string)
    }

    /// The error's advice, valid until the next error of this thread.
    pub fn advice() -> *const c_char {
        Self::remembered(|last| (&last.error, &mut last.advice), |error| error.advice().to_owned())
    }

    fn remembered(
        parts: impl FnOnce(&mut LastError) -> (&Option<Error>, &mut Option<CString>),
        write: impl FnOnce(&Error) -> String,
    ) -> *const c_char {
        let find = |last: &RefCell<LastError>| {
            let mut last = last.borrow_mut();
            let (error, place) = parts(&mut last);
            let error = error.as_ref()?;
            Some(place.get_or_insert_with(|| c_string(&write(error))).as_ptr())
        };
        LAST_ERROR.try_with(find).ok().flatten().unwrap_or(c"".as_ptr())
    }
}

/// A text for C: what is behind a NUL would be lost, so there is none.
pub(super) fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    fn last_text() -> String {
        // SAFETY: the text is this thread's and no call comes between.
        unsafe { CStr::from_ptr(LastError::text()) }.to_string_lossy().into_owned()
    }

    #[test]
    fn a_panic_is_a_code_and_a_text() {
        let code = guard(|| -> Result<()> { panic!("as planned") });
        assert_eq!(code, ErrorKind::Internal.code());
        assert_eq!(last_text(), "internal error: as planned");
        assert_eq!(guard(|| -> Result<Count> { panic!("again") }), -25);
        assert!(!guard(|| -> Result<*const c_char> { panic!("again") }).is_null());
    }

    #[test]
    fn success_leaves_the_last_error_alone_and_threads_have_their_own() {
        assert_eq!(last_text(), "");
        assert_eq!(guard(|| -> Result<()> { Err(Error::misuse("a\0b")) }), -23);
        assert_eq!(guard(|| Ok(Count(3))), 3);
        assert_eq!(last_text(), "a b");
        std::thread::spawn(|| assert_eq!(last_text(), "")).join().expect("no error there");
    }

    #[test]
    fn timeouts_are_milliseconds_or_for_ever() {
        assert_eq!(timeout(-1), FOREVER);
        assert_eq!(timeout(i64::MIN), FOREVER);
        assert_eq!(timeout(0), Duration::ZERO);
        assert_eq!(timeout(1500), Duration::from_millis(1500));
    }
}
