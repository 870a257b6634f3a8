//! What a person looks at: pictures, model cards, and the facts of a file.

pub mod arena;
pub mod artifact;
mod canvas;
pub mod card;
pub mod confusion;
mod cost;
pub mod curves;
pub mod episodes;
pub mod facts;
mod font;
pub mod overlay;
pub mod repeated;
pub mod tracks;
