// Keeps the project's .venv up to date: created if missing, installed again when pyproject.toml changes.
//
// A stamp, written last, records the pyproject.toml, Python and folder of the .venv, and the extras that a command added
// to those of all commands: large packages that few tests need. While it matches, nothing is done.
// It is removed first, so a failed set-up is tried again. An interrupted set-up leaves its claim (claim.mjs); then, as
// after a move or without a working pip, the .venv is created again.

import { createHash } from 'node:crypto'
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { claim, isClaim } from './claim.mjs'
import { findPython, isNewEnough, probe } from './python.mjs'
import { exitCodeOf, Problem, run } from './run.mjs'

export const project = dirname(dirname(fileURLToPath(import.meta.url)))
export const venv = join(project, '.venv')
const stampFile = join(venv, 'tokenvis-stamp')

export const binFolder = (platform = process.platform) => (platform === 'win32' ? 'Scripts' : 'bin')
export const programName = (name, platform = process.platform) => (platform === 'win32' ? `${name}.exe` : name)
export const venvProgram = (name) => join(venv, binFolder(), programName(name))

/** Makes sure that .venv has the project, its dependencies and these extras; takes a few milliseconds if it does. */
export async function ensureVenv(extras = []) {
  if (isCurrent(extras)) return
  const { interrupted, release } = await claim(venv)
  try {
    if (!isCurrent(extras)) await setUp(interrupted, extras)
  } finally {
    release()
  }
}

/** The environment in which a program of the .venv runs, as `activate` makes it. */
export function venvEnvironment(base = process.env) {
  const env = { ...withoutVenv(base), VIRTUAL_ENV: venv }
  const path = pathName(env)
  env[path] = [join(venv, binFolder()), env[path]].filter(Boolean).join(delimiter)
  return env
}

/** The text with every URL and host name masked. */
export function withoutAddresses(text) {
  const named = /(?::\/\/(?:[^\s/@]*@)?|located at |onnection to )([\w-]+(?:\.[\w-]+)+)|host='([^']+)'/g
  const hosts = new Set([...text.matchAll(named)].map(([, dotted, quoted]) => dotted ?? quoted))
  const masked = text.replace(/[a-z][\w+.-]*:\/\/[^\s'"<>()]*/gi, '<address>')
  return [...hosts].reduce((rest, host) => rest.replaceAll(host, '<host>'), masked)
}

function isCurrent(extras) {
  const stamp = expectedStamp()
  if (stamp === null || !existsSync(venvProgram('python'))) return false
  const found = readIfExists(stampFile)
  return found.startsWith(stamp) && extras.every((extra) => found.slice(stamp.length).split('\n').includes(extra))
}

function expectedStamp() {
  const version = /^version(?:_info)? *= *(\d+\.\d+)/m.exec(readIfExists(join(venv, 'pyvenv.cfg')))?.[1]
  const hash = createHash('sha256').update(readFileSync(join(project, 'pyproject.toml'))).digest('hex')
  return version ? `${hash}\npython ${version}\n${venv}\n` : null
}

async function setUp(interrupted, extras) {
  const recreate = interrupted || wasMadeElsewhere() || !pythonWorks()
  const python = recreate ? findPython(withoutVenv(process.env)) : null
  console.error('Setting up .venv (about a minute the first time) ...')
  rmSync(stampFile, { force: true })
  if (recreate) {
    emptyVenv()
    await runQuietly([...python, '-m', 'venv', venv], withoutVenv(process.env),
      'Creating .venv failed, see above: repair that Python, or set $TOKENVIS_PYTHON to another one, and run this again.')
  }
  await runQuietly([venvProgram('python'), '-m', 'pip', 'install', '--quiet', '--editable', `.[${['notebook', 'test', ...extras]}]`],
    { ...venvEnvironment(), PIP_DISABLE_PIP_VERSION_CHECK: '1' },
    'Installing into .venv failed, see above: check that pip can reach its package index, and run this again.')
  writeFileSync(stampFile, expectedStamp() + extras.map((extra) => `${extra}\n`).join(''))
}

function wasMadeElsewhere() {
  const stamp = readIfExists(stampFile)
  const place = (text) => text?.split('\n').slice(1, 3).join('\n')
  return stamp !== '' && place(stamp) !== place(expectedStamp())
}

function pythonWorks() {
  const python = expectedStamp() && probe([venvProgram('python')], ['pip'], venvEnvironment())
  return python?.complete && isNewEnough(python.version)
}

function emptyVenv() {
  if (lstatSync(venv).isSymbolicLink()) {
    throw new Problem('.venv is a link to a folder that does not work as a virtual environment: remove the link, and run this again.')
  }
  for (const name of readdirSync(venv).filter((name) => !isClaim(name))) {
    rmSync(join(venv, name), { recursive: true, force: true, maxRetries: 3 })
  }
}

/** Runs a command silently; if it fails, prints its output, masked, and throws what to do. */
async function runQuietly([program, ...args], env, whatToDo) {
  const { code, output, signal } = await run(program, args, { cwd: project, env, stdio: ['ignore', 'pipe', 'pipe'] })
  if (signal) process.exit(exitCodeOf(signal)) // the claim stays: it marks the set-up as interrupted
  if (code === 0) return
  console.error(withoutAddresses(output).trimEnd())
  throw new Problem(whatToDo)
}

/** The environment without this .venv, which may be active and is about to be removed. */
function withoutVenv(base) {
  const { PYTHONHOME, VIRTUAL_ENV, ...env } = base
  const path = pathName(env)
  const folders = (env[path] ?? '').split(delimiter)
  env[path] = folders.filter((folder) => resolve(folder) !== join(venv, binFolder())).join(delimiter)
  return env
}

const pathName = (env) => Object.keys(env).find((name) => name.toUpperCase() === 'PATH') ?? 'PATH'

function readIfExists(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}
