//! Value networks for the grid games: the architecture of MinAtar's DQN (Young and Tian 2019), a convolution and a dense
//! layer, where Mnih et al. (2015) have three and one for pictures of 84x84.

use crate::graph::{Graph, GraphError, ValueId};
use crate::net::Net;
use crate::ops::{Add, Reduce, ReduceFn, Reshape, Sub};
use crate::train::reinforcement::{Algorithm, Demonstrations, Dqn, Evaluation, Recipe, VALUES};
use crate::train::{Optimiser, Schedule};
use dunlin::shape::{Shape, Window};

/// Channels of the convolution.
pub const CHANNELS: u32 = 16;
/// Units of the dense layer.
pub const UNITS: u32 = 128;

/// Values of `actions` actions for a board: 3x3 convolution without padding, rectifier, dense layer, rectifier, values.
///
/// # Errors
/// A board smaller than the kernel.
pub fn network(name: &str, board: Shape, actions: u32) -> Result<Graph, GraphError> {
    let mut n = Net::new(name);
    let x = features(&mut n, board)?;
    let x = n.dense_relu("dense", x, UNITS)?;
    let x = n.dense("value", x, actions)?;
    n.finish(x)
}

/// [`network`] with a duelling head (Wang et al. 2016): the value of the board and the advantage of each action have half of the
/// units each, and an action's value is the one plus the other less the mean advantage. Training wants [`VALUES`]; a policy needs
/// the advantages only, which are the output, so that the value has no part in the program of a board.
///
/// # Errors
/// As [`network`].
pub fn duelling(name: &str, board: Shape, actions: u32) -> Result<Graph, GraphError> {
    let mut n = Net::new(name);
    let x = features(&mut n, board)?;
    let a = n.dense_relu("advantage.dense", x, UNITS / 2)?;
    let a = n.dense("advantage", a, actions)?;
    let v = n.dense_relu("state.dense", x, UNITS / 2)?;
    let v = n.dense("state", v, 1)?;
    let mean = Reduce { function: ReduceFn::Mean, axes: [false, false, false, true] };
    let mean = n.push("advantage.mean", mean, &[a])?;
    let v = n.push("state.rest", Sub::default(), &[v, mean])?;
    n.push(VALUES, Add::default(), &[a, v])?;
    n.finish(a)
}

/// The convolution's channels of all cells in a row.
fn features(n: &mut Net, board: Shape) -> Result<ValueId, GraphError> {
    let x = n.input("board", board)?;
    let x = n.conv_valid("conv", x, CHANNELS, Window::square(3, 1))?;
    let x = n.relu("conv.relu", x)?;
    let cells = n.shape(x).elements() as u32;
    n.push("flat", Reshape { shape: Shape::vector(cells) }, &[x])
}

/// How a game is learned within 0.5 M frames.
pub fn recipe(model: &str) -> Recipe {
    Recipe {
        model: model.into(),
        seed: 1,
        steps: 500_000,
        lanes: 8,
        discount: 0.99,
        optimiser: Optimiser::Adam { rate: 5e-4, penalty: 0.0, penalised: Vec::new() },
        schedule: Schedule::Cosine { warm_up: 0.0, last: 0.05 },
        clip: Some(10.0),
        evaluation: Evaluation { every: 25_000, episodes: 64, selects: true },
        algorithm: Algorithm::Dqn(Dqn {
            replay: 100_000,
            warm_up: 5_000,
            batch: 32,
            update_every: 4,
            target_every: 250,
            epsilon: [1.0, 0.05],
            epsilon_steps: 100_000,
            repeats: 1,
            double: true,
            returns: 3,
            prioritised: None,
            demonstrations: None,
        }),
    }
}

/// [`recipe`] for a game in which chance earns next to nothing: half of the frames are the written-down player's.
pub fn led(model: &str) -> Recipe {
    let mut recipe = recipe(model);
    if let Algorithm::Dqn(numbers) = &mut recipe.algorithm {
        numbers.demonstrations = Some(Demonstrations { lanes: 4, steps: 500_000, margin: 0.8, weight: 1.0 });
    }
    recipe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::optimise;

    #[test]
    fn the_program_of_a_duelling_head_has_no_part_of_the_value() {
        let board = Shape::image(10, 10, 4);
        let mut duelling = duelling("duel", board, 3).unwrap();
        assert!(duelling.value_named(VALUES).is_some());
        duelling.initialise(1);
        let whole = duelling.weight_count();
        optimise(&mut duelling).unwrap();
        assert!(duelling.value_named(VALUES).is_none());
        assert!(duelling.weight_count() * 10 < whole * 6, "{} of {whole}", duelling.weight_count());
    }
}
