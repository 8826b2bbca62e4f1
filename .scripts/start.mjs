// npm start [-- JUPYTER ARGS]: seeds the demo traces and opens JupyterLab on the first notebook.
//
// These settings are defaults: arguments and the user's Jupyter configuration override them. The server runs as long as its
// standard input is open, so it also ends if this process is killed by a signal that cannot be forwarded.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { main, run } from './run.mjs'
import { ensureVenv, project, venv, venvEnvironment, venvProgram } from './setup.mjs'

const SERVER = `
import json, os, signal, sys, threading
import zmq
from jupyter_server.serverapp import ServerApp
from jupyterlab.labapp import LabApp
from traitlets.config import Config

def stop(*_):
    if os.name == "nt":
        signal.raise_signal(signal.SIGTERM)
    else:
        os.kill(os.getpid(), signal.SIGTERM)  # unlike raise_signal, it wakes the main thread

def stop_when_input_ends():
    os.read(0, 1)
    stop()

signal.signal(signal.SIGINT, stop)  # on SIGTERM, Jupyter stops its kernels without a question
threading.Thread(target=stop_when_input_ends, daemon=True).start()
settings = Config(json.loads(sys.argv.pop(1)))
if zmq.has("curve"):
    settings.KernelManager.transport_encryption = "auto"  # without it, each kernel prints a warning
ServerApp.instance(config=settings, jpserver_extensions={"jupyterlab": True})
LabApp.launch_instance()
`

const SETTINGS = {
  ServerApp: {
    root_dir: project,
    allow_root: process.getuid?.() === 0,
    open_browser: hasDisplay() && !inContainer(),
    log_level: 'WARN', // prints the address with its token
  },
  LabApp: {
    default_url: '/lab/tree/notebooks/01-first-look.ipynb',
    log_level: 'WARN',
    news_url: null, // no request for news
    check_for_updates_class: 'jupyterlab.handlers.announcements.NeverCheckForUpdate',
  },
}

// The default of the user's setting: without it, JupyterLab asks about news, even if there is no news_url.
const NO_QUESTION = { '@jupyterlab/apputils-extension:notification': { fetchNews: 'false', checkForUpdates: false } }

main(async () => {
  await ensureVenv()
  setDefaults(join(venv, 'share', 'jupyter', 'lab', 'settings', 'overrides.d'))
  const options = { cwd: project, env: venvEnvironment() }
  const python = venvProgram('python')
  const seed = await run(python, ['-m', 'tokenvis', 'seed'], { ...options, stdio: 'inherit' })
  if (seed.code !== 0) return seed.code
  const args = ['-c', SERVER, JSON.stringify(SETTINGS), ...process.argv.slice(2)]
  const closeInput = (server) => server.stdin.end()
  return (await run(python, args, { ...options, stdio: ['pipe', 'inherit', 'inherit'], stop: closeInput })).code
})

/** Sets defaults of JupyterLab's settings in the .venv; what the user has set in JupyterLab overrides them. */
function setDefaults(folder) {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'tokenvis.json'), JSON.stringify(NO_QUESTION))
}

function hasDisplay() {
  return process.platform !== 'linux' || Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY)
}

function inContainer() {
  return Boolean(process.env.container) || ['/.dockerenv', '/run/.containerenv'].some((file) => existsSync(file))
}
