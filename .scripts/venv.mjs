// node .scripts/venv.mjs [NAME=value ...] COMMAND [ARGS ...]
//
// Sets up the project's .venv if necessary, then runs one of its commands in the project's folder. Leading words
// NAME=value are set in its environment, on every system. The exit code is the command's, or 128 + n if signal n killed it.

import { existsSync } from 'node:fs'

import { main, Problem, run } from './run.mjs'
import { ensureVenv, project, venvEnvironment, venvProgram } from './setup.mjs'

const ASSIGNMENT = /^([A-Za-z_]\w*)=(.*)$/s

main(async () => {
  const { variables, command, args } = parse(process.argv.slice(2))
  await ensureVenv()
  if (!existsSync(venvProgram(command))) throw new Problem(`.venv has no command ${command}.`)
  const env = { ...venvEnvironment(), ...variables }
  return (await run(venvProgram(command), args, { cwd: project, env, stdio: 'inherit' })).code
})

function parse(words) {
  const first = words.findIndex((word) => !ASSIGNMENT.test(word))
  if (first < 0) throw new Problem('Usage: node .scripts/venv.mjs [NAME=value ...] COMMAND [ARGS ...]')
  const variables = Object.fromEntries(words.slice(0, first).map((word) => ASSIGNMENT.exec(word).slice(1)))
  return { variables, command: words[first], args: words.slice(first + 1) }
}
