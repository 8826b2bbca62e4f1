// npm run notebooks [-- FILES]: runs the notebooks and saves their outputs in them.
//
// They use a temporary database that contains only the demo traces. So a committed output never contains other traces,
// and never depends on them.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { main, run } from './run.mjs'
import { ensureVenv, project, venvEnvironment, venvProgram } from './setup.mjs'

main(async () => {
  await ensureVenv()
  const folder = mkdtempSync(join(tmpdir(), 'tokenvis-notebooks-'))
  try {
    const env = { ...venvEnvironment(), TOKENVIS_DATABASE: join(folder, 'sqlite.db') }
    return await python(env, 'tokenvis', 'seed') || await python(env, 'nbconvert', '--to', 'notebook', '--execute',
      '--ExecutePreprocessor.record_timing=False', '--ExecutePreprocessor.store_widget_state=False', '--inplace', ...files(process.argv.slice(2)))
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  }
})

async function python(env, ...module) {
  return (await run(venvProgram('python'), ['-m', ...module], { cwd: project, env, stdio: 'inherit' })).code
}

function files(given) {
  if (given.length) return given
  const names = readdirSync(join(project, 'notebooks')).filter((name) => name.endsWith('.ipynb')).sort()
  return names.map((name) => join('notebooks', name))
}
