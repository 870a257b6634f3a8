//! Tests of the rules, of the opponent, and of what memory can know.

use super::*;
