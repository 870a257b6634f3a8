//! Panics and faults: say where, leave QEMU with exit code 1.

use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};

/// Logs `reason` and ends the image with exit code 1.
pub(crate) fn fail(reason: impl defmt::Format) -> ! {
    defmt::error!("{}", reason);
    semihosting::process::exit(1)
}

/// Formatting the message would link `core::fmt` into every image; a message without arguments is printed as it is.
#[cfg(not(feature = "lean"))]
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    let message = info.message().as_str().unwrap_or("(message with values)");
    match info.location() {
        Some(at) => defmt::error!("panic at {=str}:{=u32}: {=str}", at.file(), at.line(), message),
        None => defmt::error!("panic: {=str}", message),
    }
    semihosting::process::exit(1)
}

/// The message, and with it the number printing of its values (0.9 kB), is not linked if nothing reads it. That shows only where
/// the handler is inlined into what calls it.
#[cfg(feature = "lean")]
#[allow(unused_attributes, reason = "on the exported name the attribute is ignored, for the call it counts")]
#[inline(always)]
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    if let Some(at) = info.location() {
        defmt::error!("panic at {=str}:{=u32}", at.file(), at.line());
    }
    semihosting::process::exit(1)
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    defmt::error!("hard fault at {=u32:#010x}, called from {=u32:#010x}", frame.pc(), frame.lr());
    semihosting::process::exit(1)
}
