//! Everything that shows a training or a run: the dashboard, the page, TensorBoard's files. It only listens to events.

pub mod dashboard;
pub mod report;
pub mod tensorboard;
