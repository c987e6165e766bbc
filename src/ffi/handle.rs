//! What passes between C and us: handles, which are names of objects in a table and never
//! addresses, and memory that C lends for one call.

use std::any::Any;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;
use std::sync::{Arc, LazyLock};

use parking_lot::RwLock;
use slotmap::{Key as _, KeyData, SlotMap, new_key_type};

use crate::error::{Error, Result};

#[cfg(not(target_pointer_width = "64"))]
compile_error!("feature `capi` needs pointers of 64 bits: its handles hold 64-bit keys");

new_key_type! {
    /// The name of an object; never used again for another one.
    struct Key;
}

type AnyObject = Arc<dyn Any + Send + Sync>;

/// Every object that C holds a handle of. Handles are looked up here, so that one that is NULL,
/// freed, of another noun or made up is an error and not a wild pointer.
static OBJECTS: LazyLock<RwLock<SlotMap<Key, AnyObject>>> = LazyLock::new(RwLock::default);

/// What a handle can stand for.
pub(super) trait Object: Send + Sync + 'static {
    /// What C calls it.
    const NOUN: &'static str;

    /// Called when the handle is freed, possibly while other threads are inside calls on it:
    /// ends what they wait for.
    fn retire(&self) {}
}

/// Gives an object a handle.
pub(super) fn register<T: Object>(object: T) -> *mut T {
    let key = OBJECTS.write().insert(Arc::new(object));
    std::ptr::without_provenance_mut(key.data().as_ffi() as usize)
}

/// The object of a handle, which lives on for this call when another thread frees it.
pub(super) fn object<T: Object>(handle: *mut T) -> Result<Arc<T>> {
    let found = OBJECTS.read().get(key(handle)?).cloned();
    found.and_then(|object| object.downcast().ok()).ok_or_else(stale::<T>)
}

/// The object of a handle, or `None` for NULL.
pub(super) fn optional<T: Object>(handle: *mut T) -> Result<Option<Arc<T>>> {
    if handle.is_null() { Ok(None) } else { object(handle).map(Some) }
}

/// Ends a handle. NULL is none, and fine.
pub(super) fn free<T: Object>(handle: *mut T) -> Result<()> {
    if handle.is_null() {
        return Ok(());
    }
    let key = key(handle)?;
    let mut objects = OBJECTS.write();
    if !objects.get(key).is_some_and(|object| object.is::<T>()) {
        return Err(stale::<T>());
    }
    let taken = objects.remove(key);
    // An object's end may block and may take other objects along.
    drop(objects);
    if let Some(object) = taken.and_then(|object| object.downcast::<T>().ok()) {
        object.retire();
    }
    Ok(())
}

fn key<T: Object>(handle: *mut T) -> Result<Key> {
    if handle.is_null() {
        return Err(Error::misuse(format!("the {} is NULL", T::NOUN)));
    }
    let value = handle.addr() as u64;
    let data = KeyData::from_ffi(value);
    // Not every number is a key, and `from_ffi` bends those that are not.
    if data.as_ffi() == value { Ok(Key::from(data)) } else { Err(stale::<T>()) }
}

fn stale<T: Object>() -> Error {
    Error::misuse(format!("the {} was freed, or never was one", T::NOUN))
}

/// Where C wants an answer.
pub(super) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// A place for an answer; `what` names it in errors.
    ///
    /// # Safety
    ///
    /// `place` is NULL, or valid for writing for as long as the value lives.
    pub unsafe fn new(place: *mut T, what: &str) -> Result<Self> {
        match NonNull::new(place) {
            Some(place) if place.is_aligned() => Ok(Out(place)),
            Some(_) => Err(Error::misuse(format!("{what} is not aligned"))),
            None => Err(Error::misuse(format!("{what} is NULL"))),
        }
    }

    /// Writes the answer.
    pub fn set(self, value: T) {
        // SAFETY: `new` was promised a place that can be written to.
        unsafe { self.0.write(value) }
    }
}

/// Bytes that C lends. NULL is fine when `len` is 0.
///
/// # Safety
///
/// `bytes` is NULL, or valid for reading `len` bytes during `'a`.
pub(super) unsafe fn bytes<'a>(bytes: *const c_void, len: usize, what: &str) -> Result<&'a [u8]> {
    if !check_extent(bytes, len, what)? {
        return Ok(&[]);
    }
    // SAFETY: not NULL, not too long, and the caller promised the rest.
    Ok(unsafe { std::slice::from_raw_parts(bytes.cast(), len) })
}

/// Room that C lends. NULL is fine when `capacity` is 0.
///
/// # Safety
///
/// `room` is NULL, or valid for writing `capacity` bytes during `'a`, and nothing else uses it
/// meanwhile. What is in it is not looked at.
pub(super) unsafe fn room<'a>(
    room: *mut c_void,
    capacity: usize,
    what: &str,
) -> Result<&'a mut [u8]> {
    if !check_extent(room, capacity, what)? {
        return Ok(&mut []);
    }
    // SAFETY: not NULL, not too long, and the caller promised the rest.
    Ok(unsafe { std::slice::from_raw_parts_mut(room.cast(), capacity) })
}

/// Room for numbers that C lends. NULL is fine when `capacity` is 0.
///
/// # Safety
///
/// `place` is NULL, or valid for writing `capacity` numbers during `'a`, and nothing else uses it
/// meanwhile. What is in it is not looked at.
pub(super) unsafe fn array<'a, T: Plain>(
    place: *mut T,
    capacity: usize,
    what: &str,
) -> Result<&'a mut [T]> {
    let len = capacity.saturating_mul(size_of::<T>());
    if !check_extent(place.cast(), len, what)? {
        return Ok(&mut []);
    }
    if !place.is_aligned() {
        return Err(Error::misuse(format!("{what} is not aligned")));
    }
    // SAFETY: not NULL, aligned, not too long, and the caller promised the rest.
    Ok(unsafe { std::slice::from_raw_parts_mut(place, capacity) })
}

/// What any bytes are a value of.
pub(super) trait Plain {}

impl Plain for u64 {}
impl Plain for i32 {}

/// A pointer of the caller's, which is its own to make sense of.
pub(super) struct User(pub *mut c_void);

// SAFETY: it is never dereferenced here, and the caller was told that another thread gets it.
unsafe impl Send for User {}

/// Whether there are any bytes.
fn check_extent(bytes: *const c_void, len: usize, what: &str) -> Result<bool> {
    if bytes.is_null() && len > 0 {
        return Err(Error::misuse(format!("{what} is NULL and its length is not 0")));
    }
    if isize::try_from(len).is_err() {
        return Err(Error::misuse(format!("the length of {what} is negative, or absurd")));
    }
    Ok(len > 0)
}

/// A NUL-terminated string that C lends.
///
/// # Safety
///
/// `text` is NULL, or points to bytes that end with a NUL and stay as they are during `'a`.
pub(super) unsafe fn text<'a>(text: *const c_char, what: &str) -> Result<&'a str> {
    if text.is_null() {
        return Err(Error::misuse(format!("{what} is NULL")));
    }
    // SAFETY: not NULL, and the caller promised a NUL at the end.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| Error::misuse(format!("{what} is not UTF-8")))
}

/// Copies `text` and a NUL into room that C lent.
pub(super) fn put_text(text: &str, room: &mut [u8], what: &str) -> Result<()> {
    let len = text.len();
    let Some(place) = room.get_mut(..=len) else {
        return Err(Error::misuse(format!("{what} needs {} bytes", len + 1)));
    };
    place[..len].copy_from_slice(text.as_bytes());
    place[len] = 0;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    struct Apple(u32);
    struct Pear;

    impl Object for Apple {
        const NOUN: &'static str = "apple";
    }

    impl Object for Pear {
        const NOUN: &'static str = "pear";
    }

    fn misuse<T>(result: Result<T>) -> bool {
        result.is_err_and(|error| error.kind() == ErrorKind::Misuse)
    }

    #[test]
    fn a_handle_is_good_until_it_is_freed() {
        let apple = register(Apple(7));
        assert_eq!(object(apple).map(|apple| apple.0), Ok(7));
        let held = object(apple).expect("there");
        assert_eq!(free(apple), Ok(()));
        assert_eq!(held.0, 7);
        assert!(misuse(object(apple)) && misuse(free(apple)));
        // The slot is used again, the name is not.
        let again = register(Apple(8));
        assert!(misuse(object(apple)) && misuse(free(apple)));
        assert_eq!(free(again), Ok(()));
    }

    #[test]
    fn what_is_no_handle_of_this_noun_is_refused_and_left_alone() {
        let apple = register(Apple(1));
        assert!(misuse(object(apple.cast::<Pear>())) && misuse(free(apple.cast::<Pear>())));
        assert!(object(apple).is_ok());
        let null = std::ptr::null_mut::<Apple>();
        assert!(misuse(object(null)));
        assert!(optional(null).is_ok_and(|none| none.is_none()));
        assert_eq!(free(null), Ok(()));
        let mut local = Apple(2);
        assert!(misuse(object(&raw mut local)));
        for number in [1, 2, 0x0000_0002_0000_0001, usize::MAX, apple.addr() & 0xffff_ffff] {
            assert!(misuse(object(std::ptr::without_provenance_mut::<Apple>(number))));
        }
        assert_eq!(free(apple), Ok(()));
    }

    #[test]
    fn lent_memory_is_checked() {
        let null = std::ptr::null::<c_void>();
        // SAFETY: NULL is allowed.
        let empty = unsafe { bytes(null, 0, "data") };
        assert_eq!(empty, Ok(&[][..]));
        // SAFETY: NULL is allowed.
        assert!(misuse(unsafe { bytes(null, 1, "data") }));
        let byte = 5u8;
        // SAFETY: the length is refused before anything is read.
        assert!(misuse(unsafe { bytes((&raw const byte).cast(), usize::MAX, "data") }));
        let mut numbers = [7u64; 2];
        // SAFETY: as long as it says, or refused before anything is written.
        unsafe {
            assert_eq!(array(numbers.as_mut_ptr(), 2, "keys").map(|keys| keys.len()), Ok(2));
            let odd = numbers.as_mut_ptr().byte_add(1);
            assert!(misuse(array(odd, 1, "keys")));
            assert!(misuse(array(numbers.as_mut_ptr(), usize::MAX / 2, "keys")));
            assert!(misuse(array(std::ptr::null_mut::<u64>(), 1, "keys")));
            assert!(array(std::ptr::null_mut::<u64>(), 0, "keys").is_ok());
        }
        let mut room = [1; 3];
        assert!(misuse(put_text("abc", &mut room, "text")));
        assert_eq!(room, [1; 3]);
        assert_eq!(put_text("ab", &mut room, "text"), Ok(()));
        assert_eq!(&room, b"ab\0");
    }
}
