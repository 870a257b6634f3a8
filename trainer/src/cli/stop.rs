//! Ctrl-C: the first ends a training after its step, the second ends the program.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);
static INSTALLED: Once = Once::new();

/// The flag that Ctrl-C sets; installs the handler once.
pub(super) fn flag() -> &'static AtomicBool {
    INSTALLED.call_once(|| {
        let installed = ctrlc::set_handler(|| {
            if STOP.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            eprintln!("\nfinishing the step; once more Ctrl-C ends at once");
        });
        if let Err(error) = installed {
            eprintln!("Ctrl-C will end the training without a checkpoint of the last steps: {error}");
        }
    });
    &STOP
}
