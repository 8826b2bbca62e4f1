// node .scripts/venv.mjs [+extra ...] [NAME=value ...] COMMAND [ARGS ...]
//
// Sets up the project's .venv if necessary, with the extras of pyproject.toml after a +, then runs one of its commands in the
// project's folder. Leading words NAME=value are set in its environment, on every system. The exit code is the command's, or
// 128 + n if signal n killed it.

import { existsSync } from 'node:fs'

import { main, Problem, run } from './run.mjs'
import { ensureVenv, project, venvEnvironment, venvProgram } from './setup.mjs'

const EXTRA = /^\+([a-z]+)$/
const ASSIGNMENT = /^([A-Za-z_]\w*)=(.*)$/s

main(async () => {
  const { extras, variables, command, args } = parse(process.argv.slice(2))
  await ensureVenv(extras)
  if (!existsSync(venvProgram(command))) throw new Problem(`.venv has no command ${command}.`)
  const env = { ...venvEnvironment(), ...variables }
  return (await run(venvProgram(command), args, { cwd: project, env, stdio: 'inherit' })).code
})

function parse(words) {
  if (EXTRA.test(words[0])) {
    const { extras, ...rest } = parse(words.slice(1))
    return { extras: [EXTRA.exec(words[0])[1], ...extras], ...rest }
  }
  const first = words.findIndex((word) => !ASSIGNMENT.test(word))
  if (first < 0) throw new Problem('Usage: node .scripts/venv.mjs [+extra ...] [NAME=value ...] COMMAND [ARGS ...]')
  const variables = Object.fromEntries(words.slice(0, first).map((word) => ASSIGNMENT.exec(word).slice(1)))
  return { extras: [], variables, command: words[first], args: words.slice(first + 1) }
}
