//! `dotcart serve`: a run that answers over HTTP.

use super::args::ServeArguments;
use super::output::Output;
use super::{CommandResult, End};
use dotcart::config::DeviceChoice;
use dotcart::serve::{Access, Notice, Options, Source, Stop, serve};
use std::sync::{Arc, mpsc};

pub fn run(arguments: &ServeArguments, output: &mut Output) -> CommandResult {
    let options = Options {
        source: match &arguments.name {
            Some(name) => Source::Name(name.clone()),
            None => Source::Run(arguments.run.clone()),
        },
        address: arguments.address,
        access: Access::new(arguments.address, arguments.token_file.as_deref(), arguments.public)?,
        device: arguments.device.unwrap_or(DeviceChoice::Cpu),
    };
    if arguments.public {
        output.warning("everybody who reaches this address may ask");
    }
    let stop = Stop::default();
    let on_signal = stop.clone();
    // The second signal ends the process at once; ratings that were answered are kept either way.
    let handler = move || {
        if on_signal.tell() {
            std::process::exit(End::Interrupted as i32);
        }
    };
    // Without a handler a signal ends the process, which loses no rating either.
    let _ = ctrlc::set_handler(handler);
    let (notices, heard) = mpsc::channel();
    let listener = Arc::new(move |notice| {
        // Who hears stays until the server has ended.
        let _ = notices.send(notice);
    });
    let result = std::thread::scope(|scope| {
        let server = scope.spawn(|| serve(options, listener, stop));
        for notice in heard {
            say(&notice, output);
        }
        server.join()
    });
    match result {
        Ok(result) => result.map(|()| End::Done).map_err(Into::into),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn say(notice: &Notice, output: &mut Output) {
    match notice {
        Notice::Listening { address, run } => {
            output.talk(&format!("{run} answers at http://{address}"));
            output.talk(&format!("try: curl http://{address}/v1/model"));
        }
        Notice::Reloaded { run } => output.talk(&format!("from here on {run} answers")),
        Notice::NotTaken { run, why } => output.warning(&format!("{run} is not taken, the older run goes on: {why}")),
        Notice::Failed { what } => output.warning(&format!("a request failed: {what}")),
        Notice::Draining => output.talk("ending: what was begun is answered"),
    }
}
