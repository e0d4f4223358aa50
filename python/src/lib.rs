//! docent for Python: [`docent::Library`] with Python's types, exceptions and Ctrl-C. What it offers is described in
//! `docent_qa/__init__.pyi`.
//!
//! Every call that takes time works without the interpreter's lock, on a thread of its own where Ctrl-C must reach it.

mod error;
mod library;
mod results;
mod work;

use pyo3::prelude::*;

#[pymodule]
#[pyo3(name = "_docent_qa")]
fn docent_qa(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<library::Library>()?;
    module.add_class::<library::Asking>()?;
    module.add_class::<results::Answer>()?;
    module.add_class::<results::Citation>()?;
    module.add_class::<results::Event>()?;
    module.add_class::<results::Hit>()?;
    module.add_class::<results::Summary>()?;
    error::add_to(module)
}
