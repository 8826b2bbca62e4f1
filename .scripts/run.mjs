// Runs a program to its end and leaves nothing behind: whoever stops us, stops it, and we stay until it has gone.
//
// A Ctrl-C at a terminal reaches the program without our help; any other signal is passed on, once. npm's shell dies of
// a signal without telling us, so where npm started us we also watch for a change of parent.

import { spawn } from 'node:child_process'
import { constants } from 'node:os'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']
const PARENT_CHECK_MS = 500

/** What a user did or lacks, told in a sentence: no stack trace. */
export class Problem extends Error {}

/** Runs `job`, whose answer is the exit code, and turns a Problem into its sentence and exit code 1. */
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
 * Runs a program: { code, output, signal }. `output` is what it wrote, where stdio has pipes; `signal` is the first
 * one that we were sent meanwhile. `stop(child, signal)` is how it is stopped: by that signal, unless told otherwise.
 */
export function run(program, args, { stop = passOn, ...options }) {
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
  child.on('exit', () => sent.size && [child.stdout, child.stderr].forEach((pipe) => pipe?.destroy())) // its children may hold them

  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new Problem(`${program} does not run: ${error.message}.`)))
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

function passOn(child, signal) {
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
