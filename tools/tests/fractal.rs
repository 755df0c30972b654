//! The fractal service: several users at once, and an element that is stopped in the middle of an image.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "edge: tests run programs"
)]

mod common;

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use common::{Background, RSP, command};
use tools::service::fractal::compute::Walk;
use tools::service::fractal::wire::{Algorithm, Complex, Parameter};

const LIMIT: Duration = Duration::from_secs(60);

/// A scope of its own on the loopback interface.
struct Scope {
    dir: tempfile::TempDir,
    flags: Vec<String>,
}

impl Scope {
    fn new() -> Self {
        let port = || UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (udp, announce) = (port().to_string(), format!("239.0.0.50:{}", port()));
        let flags = ["--loopback-only", "--udp-port", &udp, "--announce", &announce].map(str::to_owned).to_vec();
        Self { dir: tempfile::tempdir().unwrap(), flags }
    }

    fn start(&self, args: &[&str]) -> Background {
        let mut words = vec![RSP];
        words.extend(args);
        words.extend(self.flags.iter().map(String::as_str));
        Background::spawn(command(self.dir.path(), &words))
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// What `--values-out` should hold for the whole Mandelbrot set.
fn expected(width: u32, height: u32, max_iterations: u32) -> Vec<u8> {
    let (c1, c2) = (Complex { re: -0.7, im: -1.2 }, Complex { re: 2.1, im: 1.2 });
    let parameter = Parameter { width, height, max_iterations, algorithm: Algorithm::Mandelbrot, c1, c2, n: 2.0 };
    Walk::new(parameter, 0, 0, false).flat_map(u32::to_be_bytes).collect()
}

fn finish(mut program: Background) -> Background {
    let status = common::wait(&mut program.child, LIMIT).expect("still running");
    assert!(status.success(), "{status}");
    program
}

#[test]
fn one_element_serves_several_users_at_once() {
    let scope = Scope::new();
    let mut registrar = scope.start(&["registrar", "--announce-interval", "200"]);
    registrar.expect("is ready", LIMIT);
    let mut element = scope.start(&["server", "--fractal", "--policy", "least-used"]);
    element.expect("has registered", LIMIT);
    let names = ["0", "1", "2"];
    let users: Vec<_> = names
        .iter()
        .map(|name| {
            scope.start(&["fractal", "--size", "300x200", "--iterations", "3000", "--out", &format!("{name}.png"), "--values-out", name])
        })
        .collect();
    users.into_iter().for_each(|user| drop(finish(user)));
    for name in names {
        assert!(std::fs::read(scope.path().join(name)).unwrap() == expected(300, 200, 3000), "image {name} is wrong");
    }
}

#[test]
fn an_element_that_is_stopped_hands_its_image_over() {
    let scope = Scope::new();
    let mut registrar = scope.start(&["registrar", "--announce-interval", "200"]);
    registrar.expect("is ready", LIMIT);
    let flags = ["server", "--fractal", "--data-max-time", "20", "--identifier"];
    let start = |id: &str| {
        let mut element = scope.start(&[&flags[..], &[id]].concat());
        element.expect("has registered", LIMIT);
        element
    };
    let mut elements = vec![("0x0000000a", start("0xa")), ("0x0000000b", start("0xb"))];
    let mut user = scope.start(&["fractal", "--size", "400x300", "--iterations", "20000", "--values-out", "values"]);
    let serving = user.expect(" serves", LIMIT);
    let index = elements.iter().position(|(id, _)| serving.contains(id)).unwrap_or_else(|| panic!("{serving}"));
    let (_, mut stopped) = elements.remove(index);
    let pid = rustix::process::Pid::from_raw(i32::try_from(stopped.child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let line = user.expect("goes on", LIMIT);
    assert!(line.contains(elements[0].0), "{line}");
    assert!(common::wait(&mut stopped.child, LIMIT).expect("SIGTERM was ignored").success());
    finish(user);
    assert!(std::fs::read(scope.path().join("values")).unwrap() == expected(400, 300, 20_000), "the image is wrong");
}
