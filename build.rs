//! Link arguments of the shared object. Writes nothing outside `OUT_DIR`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let linux = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    if linux {
        // The soname carries the ABI's major version; 0 until the first stable release.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libbmclink.so.0");
        // A library that owns threads has to survive dlclose().
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
