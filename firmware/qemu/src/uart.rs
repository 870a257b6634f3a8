//! A UART of CMSDK (Arm DDI 0479D, "APB UART"). The core sleeps until a byte comes.

use core::convert::Infallible;

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use dunlin_emulator::board;
use embedded_io::{ErrorType, Read, Write};

const DATA: usize = 0x0;
const STATE: usize = 0x4;
const CONTROL: usize = 0x8;
const INTERRUPT_CLEAR: usize = 0xc;
const BAUD_DIVIDER: usize = 0x10;

/// The sender's buffer is full.
const TX_FULL: u32 = 1;
/// The receiver's buffer holds a byte.
const RX_FULL: u32 = 2;
/// Sender and receiver are on, and the receiver interrupts.
const ENABLE: u32 = 0b1011;
/// The receiver has interrupted.
const RX_INTERRUPT: u32 = 2;
/// The smallest that the UART takes. QEMU takes bytes at once, whatever the rate.
const FASTEST: u32 = 16;

/// The number of an interrupt.
#[derive(Clone, Copy)]
struct Number(u16);

// SAFETY: the number is one of the board's, by its table, and stays the same.
unsafe impl InterruptNumber for Number {
    fn number(self) -> u16 {
        self.0
    }
}

/// A UART of a board.
pub(crate) struct Uart {
    base: *mut u32,
    interrupts: [Number; 2],
}

impl Uart {
    /// Turns the UART on.
    pub(crate) fn new(uart: board::Uart) -> Self {
        let uart = Self { base: uart.address as usize as *mut u32, interrupts: uart.interrupts.map(Number) };
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

    /// Sleeps until there may be a byte: a core that looks for one all the time takes a processor of the host, and QEMU's
    /// lock with it.
    fn sleep(&self) {
        // The interrupt is there to end the sleep, and is never taken.
        cortex_m::interrupt::free(|_| {
            // SAFETY: interrupts are masked, and these are disabled again before they are not.
            self.interrupts.iter().for_each(|&number| unsafe { NVIC::unmask(number) });
            if Self::read(self, STATE) & RX_FULL == 0 {
                cortex_m::asm::wfi();
            }
            self.write(INTERRUPT_CLEAR, RX_INTERRUPT);
            for number in self.interrupts {
                NVIC::mask(number);
                NVIC::unpend(number);
            }
        });
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl Read for Uart {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let Some(first) = buffer.first_mut() else { return Ok(0) };
        while Self::read(self, STATE) & RX_FULL == 0 {
            self.sleep();
        }
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
