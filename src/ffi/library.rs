//! What library this is.

use std::ffi::{CString, c_char};
use std::sync::LazyLock;

use super::guard::{Number, c_string, guard};
use super::handle;

/// The interface this header describes: its major number times 65536, plus its minor number.
///
/// The major number is that of the shared object's name. The minor number grows whenever
/// something is added. A program works with a library whose major number is the same and whose
/// minor number is not smaller: see bmclink_abi_version.
pub const BMCLINK_ABI_VERSION: i32 = 3;

static VERSION: LazyLock<CString> = LazyLock::new(|| c_string(env!("CARGO_PKG_VERSION")));

/// The library's version, such as "0.1.0": static text.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_version() -> *const c_char {
    guard(|| Ok(VERSION.as_ptr()))
}

/// The interface this library has, to compare with BMCLINK_ABI_VERSION, which is the one the
/// program was compiled with.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_abi_version() -> i32 {
    guard(|| Ok(Number(BMCLINK_ABI_VERSION)))
}

/// 1 when the library was built with a feature, 0 when not or when there is no such feature.
///
/// `name` is NUL-terminated. Features: "sim", the simulated BMC. A function of a missing feature
/// is there all the same and fails with BMCLINK_ERR_MISUSE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_has_feature(name: *const c_char) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a string.
        let name = unsafe { handle::text(name, "name") }?;
        let has = name == "capi" || name == "sim" && cfg!(feature = "sim");
        Ok(Number(has.into()))
    })
}
