// Evaluated once by QuickJS, before the engine snapshot. Nothing here reads clock or chance.

import { install } from './globals.js';
import { builtin } from './builtins.js';
import { invoke } from './invoke.js';
import { idle } from './lifecycle.js';
import { load, loadedFiles, requireForImport } from './load.js';
import { native } from './native.js';

install();

const { hooks } = native;
hooks.load = load;
hooks.invoke = invoke;
hooks.idle = idle;
hooks.requireForImport = requireForImport;
hooks.builtin = builtin;
hooks.loadedFiles = loadedFiles;
