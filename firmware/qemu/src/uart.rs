//! A UART of CMSDK, polled (Arm DDI 0479D, "APB UART").

use core::convert::Infallible;

use embedded_io::{ErrorType, Read, Write};

const DATA: usize = 0x0;
const STATE: usize = 0x4;
const CONTROL: usize = 0x8;
const BAUD_DIVIDER: usize = 0x10;

/// The sender's buffer is full.
const TX_FULL: u32 = 1;
/// The receiver's buffer holds a byte.
const RX_FULL: u32 = 2;
/// Sender and receiver are on.
const ENABLE: u32 = 3;
/// The smallest that the UART takes. QEMU takes bytes at once, whatever the rate.
const FASTEST: u32 = 16;

/// The UART at an address.
pub(crate) struct Uart {
    base: *mut u32,
}

impl Uart {
    /// Turns the UART on. `address` is that of the board's table.
    pub(crate) fn new(address: u32) -> Self {
        let uart = Self { base: address as usize as *mut u32 };
        uart.write(BAUD_DIVIDER, FASTEST);
        uart.write(CONTROL, ENABLE);
        uart
    }

    fn read(&self, register: usize) -> u32 {
        // SAFETY: a register of the UART, which belongs to this object.
        unsafe { self.base.byte_add(register).read_volatile() }
    }

    fn write(&self, register: usize, value: u32) {
        // SAFETY: as above.
        unsafe { self.base.byte_add(register).write_volatile(value) }
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl Read for Uart {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let Some(first) = buffer.first_mut() else { return Ok(0) };
        while Self::read(self, STATE) & RX_FULL == 0 {}
        *first = Self::read(self, DATA) as u8;
        Ok(1)
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            while Self::read(self, STATE) & TX_FULL != 0 {}
            Self::write(self, DATA, byte.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
