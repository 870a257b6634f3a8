//! Stack use, found by painting: unused stack holds [`PAINT`] until something runs over it.

const PAINT: u32 = 0xD0_11_57_AC;
/// How far below the stack pointer [`paint`] repaints, in bytes. A run that goes deeper is still measured, against
/// the paint of [`paint_all`].
const WINDOW: usize = 16 << 10;
/// Consecutive painted words that count as the end of the used part.
const QUIET_WORDS: usize = 64;

unsafe extern "C" {
    static _stack_start: u32;
    static __sheap: u32;
}

/// First address above the stack.
fn top() -> usize {
    (&raw const _stack_start) as usize
}

/// Lowest address that the stack may reach.
fn bottom() -> usize {
    (&raw const __sheap) as usize
}

fn pointer() -> usize {
    cortex_m::register::msp::read() as usize
}

#[inline(always)]
fn fill(from: usize, to: usize) {
    for address in (from..to).step_by(4) {
        // SAFETY: between the end of the statics and the stack pointer, at a multiple of 4; nothing lives there.
        unsafe { (address as *mut u32).write_volatile(PAINT) };
    }
}

fn painted(address: usize) -> bool {
    // SAFETY: inside the stack's memory, aligned; only compared.
    unsafe { (address as *const u32).read_volatile() == PAINT }
}

/// Paints all of the stack that is not in use. Called once, from `main`'s frame.
#[inline(always)]
pub(crate) fn paint_all() {
    fill(bottom(), pointer());
}

/// Repaints the stack just below the caller and returns where it began.
#[inline(always)]
pub(crate) fn paint() -> usize {
    let mark = pointer();
    fill(mark.saturating_sub(WINDOW).max(bottom()) & !3, mark);
    mark
}

/// Lowest address in use: the first below `from` that has only paint beneath it.
fn lowest(from: usize) -> usize {
    let (mut lowest, mut quiet, mut address) = (from, 0, from);
    while address > bottom() && quiet < QUIET_WORDS {
        address -= 4;
        if painted(address) {
            quiet += 1;
        } else {
            quiet = 0;
            lowest = address;
        }
    }
    lowest
}

/// Bytes of stack below `mark`, which [`paint`] gave, that were used since.
pub(crate) fn used_since(mark: usize) -> u32 {
    (mark - lowest(mark)) as u32
}

/// Bytes of stack in use at the deepest point so far, from the top. A stack that has reached the statics below it may
/// have overwritten them, so nothing of such a start is believed.
pub(crate) fn peak() -> u32 {
    if !painted(bottom()) {
        crate::fault::fail("the stack has reached the statics: results are worthless");
    }
    let used = (bottom()..top()).step_by(4).find(|&address| !painted(address));
    (top() - used.unwrap_or(top())) as u32
}
