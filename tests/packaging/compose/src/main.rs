//! `compose APP LIBRARY OUT`: puts the library into the app, as `wac plug` does, whose library this is. The command itself brings
//! hundreds of crates along, for registries.

use std::{env, error::Error, fs};

use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, plug};

fn main() -> Result<(), Box<dyn Error>> {
    let files: [String; 3] =
        env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "compose APP LIBRARY OUT")?;
    let [app, library, out] = files;
    let mut graph = CompositionGraph::new();
    let app = Package::from_file("app", None, app, graph.types_mut())?;
    let library = Package::from_file("library", None, library, graph.types_mut())?;
    let (app, library) = (graph.register_package(app)?, graph.register_package(library)?);
    plug(&mut graph, vec![library], app)?;
    fs::write(out, graph.encode(EncodeOptions::default())?)?;
    Ok(())
}
