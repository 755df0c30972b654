//! With feature `usrsctp`: compiles `c/usrsctp_shim.c` and links libusrsctp (Debian: libusrsctp-dev).
//!
//! `USRSCTP_INCLUDE` is the folder with usrsctp.h and `USRSCTP_LIBDIR` the one with libusrsctp.a; by default the C compiler's own.

fn main() {
    println!("cargo:rerun-if-env-changed=USRSCTP_INCLUDE");
    println!("cargo:rerun-if-env-changed=USRSCTP_LIBDIR");
    #[cfg(feature = "usrsctp")]
    usrsctp();
}

#[cfg(feature = "usrsctp")]
fn usrsctp() {
    println!("cargo:rerun-if-changed=c/usrsctp_shim.c");
    let mut build = cc::Build::new();
    build.file("c/usrsctp_shim.c").flag_if_supported("-Wno-unused-parameter").opt_level(2);
    if let Ok(include) = std::env::var("USRSCTP_INCLUDE") {
        build.include(include);
    }
    build.compile("usrsctp_shim");
    let dir = std::env::var("USRSCTP_LIBDIR").unwrap_or_else(|_| {
        let found = build.get_compiler().to_command().arg("-print-file-name=libusrsctp.a").output().expect("the C compiler runs");
        let path = String::from_utf8(found.stdout).expect("a path");
        path.trim().trim_end_matches("/libusrsctp.a").to_owned()
    });
    println!("cargo:rustc-link-search=native={dir}");
    // The library takes its clock from gettimeofday. The shim replaces it, so that simulated links run on a virtual clock; this
    // works for the static library only.
    println!("cargo:rustc-link-lib=static=usrsctp");
    println!("cargo:rustc-link-lib=pthread");
    println!("cargo:rustc-link-arg=-Wl,--wrap=gettimeofday");
}
