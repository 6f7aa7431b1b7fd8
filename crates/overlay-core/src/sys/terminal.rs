use std::os::fd::{AsRawFd, BorrowedFd};

/// The lines of a terminal (TIOCGWINSZ, tty_ioctl(2)); none where `output` is no terminal or does not say.
pub fn terminal_height(output: BorrowedFd<'_>) -> Option<u16> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: `size` is a `winsize`, which is what this request writes, for the time of the call.
    let outcome = unsafe { libc::ioctl(output.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    Some(size.ws_row).filter(|rows| outcome == 0 && *rows > 0)
}
