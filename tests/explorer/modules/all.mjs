// All tests of the modules in one process: `node all.mjs`. One process per file takes three times as long.

import { readdirSync } from 'node:fs'

const files = readdirSync(new URL('.', import.meta.url)).filter((name) => name.endsWith('.test.mjs'))
for (const name of files.sort()) await import(`./${name}`)
