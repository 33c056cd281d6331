//! A terminal for the stderr of a program.

use std::{
    fs::File,
    io::Read as _,
    process::{Command, Stdio},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

/// Runs a program whose stderr is a terminal of this many columns, and returns what it printed.
pub(crate) fn run(program: &mut Command, columns: u16) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let size = Winsize {
        ws_col: columns,
        ws_row: 40,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&master, size).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap();
    let slave = File::options()
        .write(true)
        .open(path.to_str().unwrap())
        .unwrap();
    let mut child = program.stderr(Stdio::from(slave)).spawn().unwrap();
    // The command holds the terminal open.
    program.stderr(Stdio::null());
    let mut bytes = Vec::new();
    // Linux answers with an error when the last writer is gone.
    let _ = File::from(master).read_to_end(&mut bytes);
    assert!(child.wait().unwrap().success());
    String::from_utf8(bytes).unwrap().replace("\r\n", "\n")
}
