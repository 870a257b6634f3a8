//! The tracks of least cost, exactly: minimum-cost flow (L. Zhang, Y. Li, R. Nevatia 2008; H. Pirsiavash, D. Ramanan,
//! C. Fowlkes 2011).
//!
//! In the network each detection is an arc of capacity 1 from its entrance to its exit; further arcs lead from the source
//! to every entrance, from every exit to the sink, and from exits to entrances of later detections. A unit of flow is a
//! track. The linear program of this network has whole-numbered optima, so that the flow is the program's optimum, too.
//!
//! Since every capacity is 1, a flow is a matching of exits with entrances: an exit matched with a later entrance is a
//! link, with its own entrance a detection in no track; an exit alone is a track's end, an entrance alone its
//! beginning. Against all detections being tracks of their own, a link saves an end and a beginning less its
//! cost, and leaving out a detection saves both and the detection's cost. The flow of least cost is the matching that saves most.

use crate::assign::heaviest_sparse;

/// Steps in a cost of 1.
const STEPS: f64 = (1u64 << 24) as f64;

/// What tracks cost. Detections are numbered in the order of time.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Cost of each detection in a track; negative where it is worth more than it costs.
    pub detections: Vec<f64>,
    /// Cost of a track's beginning, at least 0.
    pub entry: f64,
    /// Cost of a track's end, at least 0.
    pub exit: f64,
    /// Earlier detection, later one, cost of having both in this order in a track.
    pub links: Vec<(usize, usize, f64)>,
}

/// A cost in whole steps, so that the optimum is one.
fn steps(cost: f64) -> i64 {
    (cost * STEPS).round() as i64
}

impl Network {
    /// The set of tracks with the least sum of costs: the detections of each, in the order of time. Tracks are in the
    /// order of their first detections. Links must lead from lower to higher numbers.
    pub fn solve(&self) -> Vec<Vec<usize>> {
        let count = self.detections.len();
        let ends = steps(self.entry) + steps(self.exit);
        let alone = self.detections.iter().enumerate().map(|(at, &cost)| (at, at, ends + steps(cost)));
        let links = self.links.iter().map(|&(from, to, cost)| (from, to, ends - steps(cost)));
        let next = heaviest_sparse(count, count, &alone.chain(links).collect::<Vec<_>>());
        let mut begins = vec![true; count];
        next.iter().flatten().for_each(|&to| begins[to] = false);
        let after = |&at: &usize| next[at];
        (0..count)
            .filter(|&at| begins[at])
            .map(|at| std::iter::successors(Some(at), after).collect())
            .collect()
    }

    /// Cost of a set of tracks; `None` where one needs a link that is not there.
    pub fn cost(&self, tracks: &[Vec<usize>]) -> Option<f64> {
        let mut total = 0.0;
        for track in tracks {
            total += self.entry + self.exit;
            total += track.iter().map(|&at| self.detections[at]).sum::<f64>();
            for pair in track.windows(2) {
                let link = self.links.iter().find(|link| (link.0, link.1) == (pair[0], pair[1]));
                total += link?.2;
            }
        }
        Some(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg64;

    /// Least cost by trying every set of tracks: each detection in turn is left out, begins a track or is put at the
    /// end of one.
    fn tried(network: &Network, at: usize, tracks: &mut Vec<Vec<usize>>) -> f64 {
        if at == network.detections.len() {
            return network.cost(tracks).unwrap_or(f64::INFINITY);
        }
        let mut best = tried(network, at + 1, tracks);
        tracks.push(vec![at]);
        best = best.min(tried(network, at + 1, tracks));
        tracks.pop();
        for track in 0..tracks.len() {
            tracks[track].push(at);
            best = best.min(tried(network, at + 1, tracks));
            tracks[track].pop();
        }
        best
    }

    fn drawn(rng: &mut Pcg64) -> Network {
        let count = rng.random_range(0..8);
        let detections = (0..count).map(|_| rng.random_range(-6.0..1.0)).collect();
        let mut links = Vec::new();
        for from in 0..count {
            for to in from + 1..count {
                if rng.random::<f64>() < 0.6 {
                    links.push((from, to, rng.random_range(-1.0..4.0)));
                }
            }
        }
        Network { detections, entry: rng.random_range(0.0..6.0), exit: rng.random_range(0.0..6.0), links }
    }

    #[test]
    fn no_set_of_tracks_is_cheaper() {
        let mut rng = Pcg64::seed_from_u64(7);
        let mut joined = 0;
        for _ in 0..300 {
            let network = drawn(&mut rng);
            let tracks = network.solve();
            let mut used: Vec<usize> = tracks.iter().flatten().copied().collect();
            used.sort_unstable();
            assert!(used.is_sorted_by(|a, b| a < b), "a detection is in two tracks: {tracks:?}");
            let cost = network.cost(&tracks).expect("tracks follow links");
            let best = tried(&network, 0, &mut Vec::new());
            assert!((cost - best).abs() < 1e-5, "{cost} is not {best}: {network:?}");
            joined += usize::from(tracks.iter().any(|track| track.len() > 2));
        }
        assert!(joined > 50, "the draws are too easy");
    }

    #[test]
    fn nothing_worth_its_cost_gives_no_track() {
        let network = Network { detections: vec![-1.0; 3], entry: 1.0, exit: 1.0, links: Vec::new() };
        assert_eq!(network.solve(), Vec::<Vec<usize>>::new());
        assert_eq!(Network::default().solve(), Vec::<Vec<usize>>::new());
    }
}
