// What the tests of the console share: the built licensectl as a process of its own, and Chromium. Playwright waits for what a
// test looks at, so no test sleeps.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const root = fileURLToPath(new URL('..', import.meta.url))
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

// patience bounds every wait, in milliseconds. It decides nothing that works: a busy machine is slow.
const patience = 120_000

// pictures is where the screenshots go; git ignores it.
const pictures = join(root, 'browser', 'pictures')

let built = process.env.LICENSECTL // a program that is built already
// licensectl is the path of the built program.
function licensectl() {
  if (!built) {
    const dir = mkdtempSync(join(tmpdir(), 'console-'))
    process.on('exit', () => rmSync(dir, { recursive: true, force: true }))
    execFileSync('go', ['build', '-o', join(dir, 'licensectl'), './cmd/licensectl'], { cwd: root, stdio: 'inherit' })
    built = join(dir, 'licensectl')
  }
  return built
}

// start starts licensectl and waits for the address of the page in its output. stop sends it the signal of a Ctrl-C.
export async function start(...args) {
  const child = spawn(licensectl(), args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const ended = new Promise(resolve => child.on('exit', resolve))
  const says = (pattern) => new Promise((resolve, reject) => {
    const look = () => {
      const found = output.match(pattern)
      if (found) {
        clearTimeout(timer)
        resolve(found)
      }
    }
    const timer = setTimeout(() => reject(new Error(`licensectl ${args.join(' ')} did not print ${pattern}:\n${output}`)), patience)
    for (const stream of [child.stdout, child.stderr]) stream.on('data', look)
    ended.then(() => reject(new Error(`licensectl ${args.join(' ')} ended:\n${output}`)))
    look()
  })
  for (const stream of [child.stdout, child.stderr]) stream.on('data', data => { output += data })
  const [page] = await says(/http:\/\/127\.0\.0\.1:\d+\/\S*#\S+/)
  const url = new URL(page)
  return {
    page, origin: url.origin, port: url.port, token: url.hash.slice(1), output: () => output, says,
    // door is the address of the front door of licensectl local.
    get door() { return output.match(/^Webhook +(http:\/\/[^/]+)/m)[1] },
    async stop() {
      child.kill('SIGINT')
      await ended
    },
  }
}

// begin starts licensectl local, fast. It sends its samples meanwhile.
export async function begin(...args) {
  const running = await start('local', '--addr', '127.0.0.1:0', '--calls-per-second', '5000', '--calls-in-flight', '100', ...args)
  await running.says(/^Webhook .*\n/m)
  return running
}

// local starts licensectl local and waits until every sample has its outcome.
export async function local(...args) {
  const running = await begin(...args)
  await running.says(/Listening on/)
  return running
}

// invoke is a direct invocation of the webhook function of licensectl local.
export async function invoke(running, requests) {
  const response = await fetch(`${running.door}/2015-03-31/functions/webhook/invocations`, {
    method: 'POST', body: JSON.stringify({ source: 'ops', by: 'browser test', comment: 'a test', requests }),
  })
  return response.json()
}

// browse starts Chromium. Its profile is a new one each time, which Playwright deletes.
export async function browse(...more) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: [
      '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
      ...more,
    ],
  })
}

// open opens an address in a window of its own. problems are the errors of the page's console and its uncaught exceptions.
export async function open(browser, address, { width = 1280, scheme = 'light' } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme, reducedMotion: 'reduce' })
  context.setDefaultTimeout(patience)
  const page = await context.newPage()
  page.problems = []
  page.on('console', message => { if (message.type() === 'error' || message.type() === 'warning') page.problems.push(message.text()) })
  page.on('pageerror', error => page.problems.push(String(error)))
  await page.goto(address)
  return page
}

// reloaded reloads a page that does not update itself, until it shows what it has to.
export async function reloaded(page, what) {
  for (const end = Date.now() + patience; ; await page.reload()) {
    await page.locator('#view h1').waitFor()
    if (await what.count() > 0) return
    assert.ok(Date.now() < end, `${page.url()} does not show ${what}`)
  }
}

// close closes the page's window and requires that the page reported no problem, but those that match. Chromium reports every answer
// with an error's status.
export async function close(page, expected) {
  await page.context().close()
  assert.deepEqual(page.problems.filter(text => !expected?.test(text)), [], 'errors of the console')
}

// accessible requires that axe-core finds nothing serious on the page. axe runs by the debugger's protocol, so the page's
// Content-Security-Policy stays as it is. Of a long list it sees the first rows: the others are like them.
export async function accessible(page, name) {
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => window.axe.run(
    { exclude: ['tbody tr:nth-child(n+12)', 'li:nth-child(n+12)', '.sender:nth-of-type(n+8)'] }, { resultTypes: ['violations'] }))
  const serious = violations.filter(v => v.impact === 'serious' || v.impact === 'critical')
  assert.deepEqual(serious.map(v => `${v.id}: ${v.help}: ${v.nodes.map(n => n.target).join(', ')}`), [], `${name}: axe-core`)
}

// tallest is the height of a picture in pixels: a hundred rows show no more than the first dozens.
const tallest = 2000

// picture takes a screenshot of the page.
export async function picture(page, name) {
  mkdirSync(pictures, { recursive: true })
  const { width, height } = await page.evaluate(() => {
    scrollTo(0, 0)
    return { width: innerWidth, height: document.documentElement.scrollHeight }
  })
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true, clip: { x: 0, y: 0, width, height: Math.min(height, tallest) } })
}

// fits requires that nothing is wider than the window.
export async function fits(page, name) {
  const { content, window } = await page.evaluate(() => ({ content: document.documentElement.scrollWidth, window: innerWidth }))
  assert.ok(content <= window, `${name}: the page is ${content} px wide in a window of ${window}`)
}
