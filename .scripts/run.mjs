// Runs a program to its end, and leaves no process behind: a signal that stops this process also stops the program.
//
// A terminal sends Ctrl-C to the program as well; every other signal is forwarded, once. npm's shell ends on a signal
// without forwarding it, so under npm this process also checks whether its parent has changed.

import { spawn } from 'node:child_process'
import { constants } from 'node:os'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']
const PARENT_CHECK_MS = 500

/** An error that the user can fix: printed as its message, without a stack trace. */
export class Problem extends Error {}

/** Runs `job`, which returns the exit code; a Problem is printed, with exit code 1. */
export async function main(job) {
  try {
    process.exitCode = await job()
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}

export const exitCodeOf = (signal) => 128 + constants.signals[signal]

/**
 * Runs a program: { code, output, signal }. `output` is its output if stdio has pipes; `signal` is the first signal that
 * this process received meanwhile. `stop(child, signal)` stops the program: by default, it forwards the signal.
 */
export function run(program, args, { stop = forward, ...options }) {
  const child = spawn(program, args, options)
  const sent = new Set()
  const chunks = []
  const onSignal = (signal) => {
    if (!sent.has(signal)) stop(child, signal)
    sent.add(signal)
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  const watch = watchParent(() => sent.size || onSignal('SIGTERM'))
  child.stdout?.on('data', (chunk) => chunks.push(chunk))
  child.stderr?.on('data', (chunk) => chunks.push(chunk))
  child.on('exit', () => sent.size && [child.stdout, child.stderr].forEach((pipe) => pipe?.destroy())) // child processes may keep them open

  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new Problem(`${program} cannot be started: ${error.message}.`)))
    child.on('close', (code, signal) => resolve({
      code: code ?? exitCodeOf(signal),
      output: Buffer.concat(chunks).toString(),
      signal: [...sent][0],
    }))
  }).finally(() => {
    clearInterval(watch)
    for (const signal of SIGNALS) process.off(signal, onSignal)
  })
}

function forward(child, signal) {
  if (signal !== 'SIGINT' || !atTerminal()) child.kill(signal)
}

function atTerminal() {
  return [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY)
}

function watchParent(whenGone) {
  if (!process.env.npm_lifecycle_event) return undefined
  const parent = process.ppid
  return setInterval(() => process.ppid === parent || whenGone(), PARENT_CHECK_MS).unref()
}
