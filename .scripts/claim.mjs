// A folder that one process at a time may change, without a lock that can be left locked.
//
// A claim is an empty file, setup-<pid>.claim. Whoever wants the folder waits until no other living process has a
// claim, makes its own, and looks again: of two that came at once, at least one sees the other, withdraws and waits.
// A claim whose process is gone was cut off in the middle of its work, which the next owner is told.

import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { Problem } from './run.mjs'

const PATIENCE_MS = 15 * 60_000
const NAME = /^setup-(\d+)\.claim$/

export const isClaim = (name) => NAME.test(name)

/** Waits for the folder: { cutOff, release }. `cutOff` says that an earlier owner died at work. */
export async function claim(folder) {
  mkdirSync(folder, { recursive: true })
  const deadline = Date.now() + PATIENCE_MS
  let told = false
  while (!take(folder)) {
    const owner = others(folder).find(isAlive)
    if (owner && !told) {
      console.error(`Waiting for process ${owner}, which is setting up ${folder} ...`)
      told = true
    }
    if (Date.now() > deadline) throw new Problem(`Another process has not finished setting up ${folder}: end it and run this again.`)
    await sleep(100 + 200 * Math.random())
  }
  const dead = others(folder)
  for (const pid of dead) rmSync(claimOf(pid, folder), { force: true })
  return { cutOff: dead.length > 0, release: () => rmSync(claimOf(process.pid, folder), { force: true }) }
}

function take(folder) {
  const isTaken = () => others(folder).some(isAlive)
  if (isTaken()) return false
  writeFileSync(claimOf(process.pid, folder), '')
  if (!isTaken()) return true
  rmSync(claimOf(process.pid, folder), { force: true })
  return false
}

const claimOf = (pid, folder) => join(folder, `setup-${pid}.claim`)

function others(folder) {
  const pids = readdirSync(folder).filter(isClaim).map((name) => Number(NAME.exec(name)[1]))
  return pids.filter((pid) => pid !== process.pid)
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error.code === 'EPERM'
  }
}
