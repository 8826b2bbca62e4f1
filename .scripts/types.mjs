// Checks the types of the explorer's modules, which are in their JSDoc; installs TypeScript if necessary.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { main, Problem, run } from './run.mjs'
import { project, withoutAddresses } from './setup.mjs'

const compiler = join(project, 'node_modules', 'typescript')
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'

main(async () => {
  if (!isCurrent()) await install()
  const args = [join(compiler, 'bin', 'tsc'), '--project', join(project, '.scripts', 'tsconfig.json')]
  return (await run(process.execPath, args, { cwd: project, stdio: 'inherit' })).code
})

function isCurrent() {
  const version = (file, find) => (existsSync(file) ? find(JSON.parse(readFileSync(file, 'utf8'))) : null)
  const wanted = version(join(project, 'package-lock.json'), (lock) => lock.packages['node_modules/typescript'].version)
  return version(join(compiler, 'package.json'), (found) => found.version) === wanted
}

async function install() {
  console.error('Setting up TypeScript ...')
  const { code, output } = await run(npm, ['ci', '--no-audit', '--no-fund'], { cwd: project, stdio: ['ignore', 'pipe', 'pipe'] })
  if (code === 0) return
  console.error(withoutAddresses(output).trimEnd())
  throw new Problem('Installing TypeScript failed, see above: check that npm can reach its registry, and run this again.')
}
