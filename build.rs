//! Link arguments of the shared object, and what pkg-config is told. Writes to `OUT_DIR` only.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let linux = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    if linux {
        // The soname carries the ABI's major version; 0 until the first stable release.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libbmclink.so.0");
        // A library that owns threads has to survive dlclose().
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    let folder = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let file = Path::new(&folder).join("bmclink.pc");
    std::fs::write(file, pkg_config()).expect("OUT_DIR can be written to");
}

/// `bmclink.pc` as `install.sh` would write it for its defaults.
fn pkg_config() -> String {
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    include_str!("include/bmclink.pc.in")
        .replace("@PREFIX@", "/usr/local")
        .replace("@LIBDIR@", "${prefix}/lib")
        .replace("@INCLUDEDIR@", "${prefix}/include")
        .replace("@VERSION@", &version)
}
