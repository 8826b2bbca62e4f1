// A lock on a folder that cannot stay locked: one process at a time may change the folder.
//
// A claim is an empty file, setup-<pid>.claim. A process waits until no other living process has a claim, creates its
// own, and checks again: if two start at once, at least one sees the other, withdraws and waits. A claim of a dead
// process means that its work was interrupted; the next owner gets this as `interrupted`.

import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { Problem } from './run.mjs'

const TIMEOUT_MS = 15 * 60_000
const CLAIM_NAME = /^setup-(\d+)\.claim$/

export const isClaim = (name) => CLAIM_NAME.test(name)

/** Waits for the folder: { interrupted, release }. `interrupted`: an earlier owner was killed during its work. */
export async function claim(folder) {
  mkdirSync(folder, { recursive: true })
  const deadline = Date.now() + TIMEOUT_MS
  let reported = false
  while (!tryClaim(folder)) {
    const owner = others(folder).find(isAlive)
    if (owner && !reported) {
      console.error(`Waiting for process ${owner}, which is setting up ${folder} ...`)
      reported = true
    }
    if (Date.now() > deadline) throw new Problem(`Another process has not finished setting up ${folder}: stop it and run this again.`)
    await sleep(100 + 200 * Math.random())
  }
  const dead = others(folder)
  for (const pid of dead) rmSync(claimOf(pid, folder), { force: true })
  return { interrupted: dead.length > 0, release: () => rmSync(claimOf(process.pid, folder), { force: true }) }
}

function tryClaim(folder) {
  const isTaken = () => others(folder).some(isAlive)
  if (isTaken()) return false
  writeFileSync(claimOf(process.pid, folder), '')
  if (!isTaken()) return true
  rmSync(claimOf(process.pid, folder), { force: true })
  return false
}

const claimOf = (pid, folder) => join(folder, `setup-${pid}.claim`)

function others(folder) {
  const pids = readdirSync(folder).filter(isClaim).map((name) => Number(CLAIM_NAME.exec(name)[1]))
  return pids.filter((pid) => pid !== process.pid)
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error.code === 'EPERM'
  }
}
