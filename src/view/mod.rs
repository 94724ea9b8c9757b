//! Everything that shows a training or a run: the dashboard, pages, TensorBoard's files. It only listens to events.

pub mod dashboard;
pub mod page;
pub mod report;
pub mod tensorboard;
