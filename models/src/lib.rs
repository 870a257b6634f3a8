//! Trained models, each beside its recipe, metrics and card in a folder of this crate.
//!
//! Every static was proved when this crate was compiled; using one costs no parsing and no table in RAM, and
//! one that is not used is not linked.
//!
//! ```
//! use dunlin::{Arena, Session};
//! use dunlin_models::DIGITS;
//!
//! let mut arena = Arena::<{ DIGITS.arena_bytes() }>::new();
//! let mut session = Session::new(&DIGITS, arena.as_mut_slice())?;
//! session.input_mut::<i8>(0)?.fill(-128);
//! session.run();
//! assert_eq!(session.output::<i8>(0)?.len(), 10);
//! # Ok::<(), dunlin::SessionError>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

use dunlin::Model;

macro_rules! models {
    ($($(#[$doc:meta])* $name:ident = $path:literal),* $(,)?) => {
        $($(#[$doc])* pub static $name: Model<'static> = dunlin::model!($path);)*

        /// All models of this crate, by the path of their file in it.
        pub static ALL: &[(&str, &Model<'static>)] = &[$(($path, &$name)),*];
    };
}

models! {
    /// Two links swung up by the torque between them (Acrobot-v1): i8 `1,1,1,6` to three i8 scores. See `acrobot-ppo/card.md`.
    ACROBOT_PPO = "acrobot-ppo/acrobot-ppo.dun",
    /// Beam Rider on a 10x10 grid: i8 `1,10,10,8` to five i8 scores. See `beam-rider-dqn/card.md`.
    BEAM_RIDER_DQN = "beam-rider-dqn/beam-rider-dqn.dun",
    /// Breakout on a 10x10 grid, by the rules of MinAtar: i8 `1,10,10,4` to three i8 scores. See `breakout-dqn/card.md`.
    BREAKOUT_DQN = "breakout-dqn/breakout-dqn.dun",
    /// [`CARTPOLE_PPO`]'s pole, by A2C. See `cartpole-a2c/card.md`.
    CARTPOLE_A2C = "cartpole-a2c/cartpole-a2c.dun",
    /// A pole balanced on a cart (CartPole-v1): i8 `1,1,1,4` to two i8 scores. See `cartpole-ppo/card.md`.
    CARTPOLE_PPO = "cartpole-ppo/cartpole-ppo.dun",
    /// [`CARTPOLE_PPO`]'s pole, by REINFORCE. See `cartpole-reinforce/card.md`.
    CARTPOLE_REINFORCE = "cartpole-reinforce/cartpole-reinforce.dun",
    /// A way along a cliff (CliffWalking-v1): i8 one-hot state `1,1,1,48` to four i8 scores. See `cliffwalking-q/card.md`.
    CLIFFWALKING_Q = "cliffwalking-q/cliffwalking-q.dun",
    /// Handwritten digits (MNIST): i8 `1,28,28,1` to ten i8 scores. See `digits/card.md`.
    DIGITS = "digits/digits.dun",
    /// Street scenes (CamVid, 11 classes) by FCN-8s: i8 `1,120,160,3` to u8 labels `1,120,160,1`. See
    /// `fcn8s/card.md`; trained on data for non-commercial use (CC BY-NC 4.0).
    FCN8S = "fcn8s/fcn8s.dun",
    /// A way over slippery ice (FrozenLake8x8-v1): i8 one-hot state `1,1,1,64` to four i8 scores. See `frozenlake8x8-planned/card.md`.
    FROZENLAKE8X8_PLANNED = "frozenlake8x8-planned/frozenlake8x8-planned.dun",
    /// A class for each paper of a citation graph (Cora) by graph convolutions: i8 words `1,1,N,1433`, i8 scale `1,1,N,1`, u16 lists
    /// of the ends of edges; i8 scores `1,1,N,7`. See `gcn-cora/card.md`.
    GCN_CORA = "gcn-cora/gcn-cora.dun",
    /// [`GN_MUTAG`]'s question, by a recurrence to a fixed point. See `gnn-scarselli/card.md`.
    GNN_SCARSELLI = "gnn-scarselli/gnn-scarselli.dun",
    /// Whether a molecule is mutagenic (MUTAG) by a graph network: i8 atoms `1,1,N,7`, u16 lists of the ends of bonds and of
    /// zeros for nodes and edges; two i8 scores. See `gn-mutag/card.md`.
    GN_MUTAG = "gn-mutag/gn-mutag.dun",
    /// Ten kinds of things (CIFAR-10) by MobileNet, pre-trained on ImageNet: i8 `1,64,64,3` to ten i8 scores. See
    /// `mobilenet-cifar10/card.md`.
    MOBILENET_CIFAR10 = "mobilenet-cifar10/mobilenet-cifar10.dun",
    /// A car that swings itself up a hill (MountainCar-v0): i8 `1,1,1,2` to three i8 scores. See `mountaincar-dqn/card.md`.
    MOUNTAINCAR_DQN = "mountaincar-dqn/mountaincar-dqn.dun",
    /// How well a molecule dissolves in water (ESOL) by message passing: i8 atoms `1,1,N,27`, i8 bonds `1,1,E,6`, u16 lists of the
    /// ends of bonds and of a zero for each atom; one i8 number. See `mpnn-esol/card.md`.
    MPNN_ESOL = "mpnn-esol/mpnn-esol.dun",
    /// Who is who from frame to frame (MOTChallenge 2015), the network of `firmware/track`: i8 nodes `1,1,N,9`, i8 edges `1,1,E,16`,
    /// u16 lists of their ends; i8 logits `1,1,E,1` and `1,1,N,1`. See `mpn-mot15/card.md`; trained on data for non-commercial
    /// use (CC BY-NC-SA 3.0).
    MPN_MOT15 = "mpn-mot15/mpn-mot15.dun",
    /// A pendulum swung up and held (Pendulum-v1): i8 `1,1,1,3` to an i8 torque. See `pendulum-ppo/card.md`.
    PENDULUM_PPO = "pendulum-ppo/pendulum-ppo.dun",
    /// Pong on a 10x10 grid: i8 `1,10,10,4` to three i8 scores. See `pong-dqn/card.md`.
    PONG_DQN = "pong-dqn/pong-dqn.dun",
    /// Seaquest on a 10x10 grid, by the rules of MinAtar: i8 `1,10,10,10` to six i8 scores. See `seaquest-dqn/card.md`.
    SEAQUEST_DQN = "seaquest-dqn/seaquest-dqn.dun",
    /// Street scenes (CamVid, 11 classes) by SegNet: i8 `1,120,160,3` to u8 labels `1,120,160,1`. See
    /// `segnet/card.md`; trained on data for non-commercial use (CC BY-NC 4.0).
    SEGNET = "segnet/segnet.dun",
    /// Two units against two in a fog, with a memory of 192 bytes of state: i8 `1,1,4,16` to 49 i8 scores. See `skirmish/card.md`.
    SKIRMISH = "skirmish/skirmish.dun",
    /// Space Invaders on a 10x10 grid, by the rules of MinAtar: i8 `1,10,10,6` to four i8 scores. See `space-invaders-dqn/card.md`.
    SPACE_INVADERS_DQN = "space-invaders-dqn/space-invaders-dqn.dun",
    /// A taxi that fetches and brings (Taxi-v3): i8 one-hot state `1,1,1,500` to six i8 scores. See `taxi-q/card.md`.
    TAXI_Q = "taxi-q/taxi-q.dun",
    /// Two legs that walk: i8 `1,1,1,15` to four i8 torques. See `walker-ppo/card.md`.
    WALKER_PPO = "walker-ppo/walker-ppo.dun",
}
