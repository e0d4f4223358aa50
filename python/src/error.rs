//! Failures as exceptions.

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(
    docent_qa,
    Error,
    PyException,
    "Any failure; the message names the file or model and the remedy."
);
create_exception!(docent_qa, ModelMissing, Error, "A model is needed and not here: Library.pull gets it.");
create_exception!(docent_qa, NothingIndexed, Error, "Nothing was added yet.");
create_exception!(docent_qa, NotIndexed, Error, "The document is not in the index.");

/// The exception for a failure. Where the library names a command as the remedy, the method is named.
pub fn exception(error: docent::Error) -> PyErr {
    match error {
        docent::Error::ModelMissing { name } => {
            ModelMissing::new_err(format!("the model {name} is not here; get it with Library.pull({name:?})"))
        }
        docent::Error::Empty => {
            NothingIndexed::new_err("nothing is indexed yet; add a folder with Library.add")
        }
        docent::Error::NotIndexed { path } => NotIndexed::new_err(format!(
            "{} is not in the index; Library.documents lists what is",
            path.display()
        )),
        other => failure(other),
    }
}

/// The exception for any other failure.
pub fn failure(error: impl std::fmt::Display) -> PyErr {
    Error::new_err(error.to_string())
}

pub fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let python = module.py();
    module.add("Error", python.get_type::<Error>())?;
    module.add("ModelMissing", python.get_type::<ModelMissing>())?;
    module.add("NothingIndexed", python.get_type::<NothingIndexed>())?;
    module.add("NotIndexed", python.get_type::<NotIndexed>())
}
