//! A tracker under test: its network is a fake that leaves the choice to the overlap, and every row is checked.

use dunlin_track::{
    Counts, Detection, EDGE_FEATURES, NODE_FEATURES, Network, Rect, Settings, Standard, Tracked,
};

/// A network that says the same of every edge and every node, and checks what it is told.
pub struct Same {
    pub edge: f32,
    pub node: f32,
    /// Nodes and edges of the last graph, and the most of all.
    pub graph: [usize; 2],
    pub most: [usize; 2],
}

impl Network for Same {
    fn begin(&mut self, nodes: usize, edges: usize) {
        assert!(nodes > 0);
        self.graph = [nodes, edges];
        self.most = [self.most[0].max(nodes), self.most[1].max(edges)];
    }

    fn node(&mut self, at: usize, features: &[f32; NODE_FEATURES]) {
        assert!(at < self.graph[0]);
        assert!(features.iter().all(|v| (-2.0..=2.0).contains(v)), "{features:?}");
    }

    fn edge(&mut self, at: usize, features: &[f32; EDGE_FEATURES]) {
        assert!(at < self.graph[1]);
        assert!(features.iter().all(|v| (-2.0..=2.0).contains(v)), "{features:?}");
    }

    fn run(&mut self, from: &[u16], to: &[u16]) {
        assert_eq!([from.len(), to.len()], [self.graph[1]; 2]);
        let nodes = self.graph[0];
        assert!(from.iter().zip(to).all(|(f, t)| f < t && usize::from(*t) < nodes));
    }

    fn edge_logit(&self, at: usize) -> f32 {
        assert!(at < self.graph[1]);
        self.edge
    }

    fn node_logit(&self, at: usize) -> f32 {
        assert!(at < self.graph[0]);
        self.node
    }
}

/// A tracker, its network, and what has come out: the frame of the step, or `None` of `finish`, and the row.
pub struct Run {
    pub tracker: Box<Standard>,
    pub net: Same,
    pub rows: Vec<(Option<u32>, Tracked)>,
    /// Where the recording begins among the rows.
    recording: usize,
    now: Option<u32>,
}

impl Run {
    pub fn new(settings: Settings) -> Self {
        let net = Same { edge: 0.0, node: 1.0, graph: [0; 2], most: [0; 2] };
        Self { tracker: Box::new(Standard::new(settings)), net, rows: Vec::new(), recording: 0, now: None }
    }

    pub fn step(&mut self, frame: u32, detections: &[Detection]) {
        let Self { tracker, net, rows, .. } = self;
        let before = rows.len();
        tracker.step(net, frame, detections, &mut |row| rows.push((Some(frame), row)));
        if self.now.is_some_and(|now| frame < now) {
            // The rows of the recording before come first; only without latency there are those of this frame, too, and
            // then the others were given out before.
            let of_last = if self.tracker.settings().latency == 0 { before } else { self.rows.len() };
            self.check(self.recording, of_last);
            self.recording = of_last;
        }
        self.now = Some(frame);
        self.check(self.recording, self.rows.len());
    }

    pub fn finish(&mut self) {
        let Self { tracker, rows, .. } = self;
        tracker.finish(&mut |row| rows.push((None, row)));
        self.check(self.recording, self.rows.len());
        self.recording = self.rows.len();
        self.now = None;
        assert_eq!(self.tracker.live(), 0);
    }

    /// Frames in order, nobody twice in one, boxes finite, ids from 1.
    fn check(&self, from: usize, to: usize) {
        let rows = &self.rows[from..to];
        for (i, (_, row)) in rows.iter().enumerate() {
            assert!(row.bounds.is_finite() && row.id > 0, "{row:?}");
            if let Some((_, before)) = i.checked_sub(1).map(|i| rows[i]) {
                assert!(before.frame <= row.frame, "{before:?} before {row:?}");
            }
            let same = rows[..i].iter().rev().take_while(|(_, other)| other.frame == row.frame);
            assert!(same.into_iter().all(|(_, other)| other.id != row.id), "twice: {row:?}");
        }
    }

    pub fn counts(&self) -> Counts {
        *self.tracker.counts()
    }

    /// Frames of the rows of track `id`.
    pub fn frames_of(&self, id: u32) -> Vec<u32> {
        self.rows.iter().filter(|(_, row)| row.id == id).map(|(_, row)| row.frame).collect()
    }

    pub fn ids(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self.rows.iter().map(|(_, row)| row.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

/// Ten frames a second, any picture: a gap of up to 20 frames, one a detection.
pub fn settings() -> Settings {
    Settings::new(10.0, None)
}

pub fn at(x: f32, y: f32) -> Detection {
    Detection { bounds: Rect { x, y, w: 40.0, h: 100.0 }, score: 0.99 }
}

/// Somebody who walks to the right, three pixels a frame.
pub fn walker(frame: u32) -> Detection {
    at(100.0 + 3.0 * frame as f32, 50.0)
}
