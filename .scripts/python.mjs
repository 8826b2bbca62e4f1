// Finds a Python that is new enough and can create virtual environments, or reports what to install.

import { spawnSync } from 'node:child_process'

import { Problem } from './run.mjs'

const OLDEST = [3, 11]
const NEWEST = [3, 14]
const PROBE = 'import sys; print("%d.%d" % sys.version_info[:2])\n'

export const requirement = `Python ${OLDEST.join('.')} or newer`

/** Whether a version such as "3.12" is supported. */
export function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number)
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])
}

/** The version of the Python that `command` starts, and whether it has the `modules`; null if it does not start. */
export function probe(command, modules, env) {
  const code = PROBE + modules.map((name) => `import ${name}\n`).join('')
  const [program, ...words] = command
  const { status, stdout } = spawnSync(program, [...words, '-c', code], { env, encoding: 'utf8', timeout: 30_000 })
  const version = /^\d+\.\d+$/m.exec(stdout ?? '')?.[0]
  return version ? { command, version, complete: status === 0 } : null
}

/** The command of the Python to use, as a list: $TOKENVIS_PYTHON, or the first suitable one on the PATH of `env`. */
export function findPython(env) {
  const named = env.TOKENVIS_PYTHON
  const found = []
  for (const command of named ? [[named]] : candidates()) {
    const python = probe(command, ['ensurepip', 'venv'], env)
    if (python?.complete && isNewEnough(python.version)) return command
    if (python) found.push(python)
  }
  throw new Problem(named ? whyNotNamed(named, found[0]) : whyNone(found))
}

function candidates() {
  const minors = Array.from({ length: NEWEST[1] - OLDEST[1] + 1 }, (_, back) => NEWEST[1] - back)
  return [['python3'], ['python'], ['py', '-3'], ...minors.map((minor) => [`python3.${minor}`])]
}

function whyNotNamed(name, python) {
  if (!python) return `$TOKENVIS_PYTHON names ${name}, which does not run as a Python: set it to ${requirement}, or unset it.`
  if (isNewEnough(python.version)) return lacksVenv(python)
  return `$TOKENVIS_PYTHON names ${name}, which is Python ${python.version}: set it to ${requirement}, or unset it.`
}

function whyNone(found) {
  const incomplete = found.find((python) => isNewEnough(python.version))
  if (incomplete) return lacksVenv(incomplete)
  const list = found.map(describe).join(', ')
  return `tokenvis needs ${requirement} and found ${list ? `only ${list}` : 'none'}: install it, or set $TOKENVIS_PYTHON to its path.`
}

function lacksVenv(python) {
  return `${describe(python)} has no venv or ensurepip module: install it (Debian, Ubuntu: apt install python3-venv) and run this again.`
}

const describe = ({ command, version }) => `${command.join(' ')} (${version})`
