//! Argo CD: a Lua script for all kinds of the group.

use mlua::serde::SerializeOptions;
use mlua::{Function, Lua, LuaOptions, LuaSerdeExt, StdLib, Table};
use serde_json::Value;

use super::{is_deleted, manifest};

/// What Argo CD shows of a resource.
#[derive(Debug, PartialEq, Eq)]
pub struct Health {
    pub status: String,
    pub message: String,
}

impl Health {
    pub fn new(status: &str, message: impl Into<String>) -> Self {
        Self { status: status.into(), message: message.into() }
    }
}

/// The health check, in the interpreter that Argo CD gives it: Lua 5.1 with no library but `table` and `package`.
pub struct Argo {
    lua: Lua,
    check: Function,
}

impl Argo {
    pub fn new(script: &str) -> Self {
        let lua = Lua::new_with(StdLib::TABLE | StdLib::PACKAGE, LuaOptions::default()).unwrap();
        let check = lua.load(script).into_function().unwrap();
        Self { lua, check }
    }

    /// As Argo CD does it: a deletion counts before any script is asked.
    pub fn health(&self, object: &Value) -> Result<Health, mlua::Error> {
        if is_deleted(object) {
            return Ok(Health::new("Progressing", "Pending deletion"));
        }
        let options = SerializeOptions::new().set_array_metatable(false);
        let options = options.serialize_none_to_null(false).serialize_unit_to_null(false);
        self.lua.globals().set("obj", self.lua.to_value_with(object, options)?)?;
        let answer: Table = self.check.call(())?;
        let message: Option<String> = answer.get("message")?;
        Ok(Health { status: answer.get("status")?, message: message.unwrap_or_default() })
    }
}

/// The script that the page gives to every kind of the group.
pub fn script() -> String {
    let settings = manifest("ConfigMap")["data"]["resource.customizations"].clone();
    let settings: Value = serde_saphyr::from_str(settings.as_str().unwrap()).unwrap();
    settings["zitadel-operator.dev/*"]["health.lua"].as_str().unwrap().to_owned()
}
