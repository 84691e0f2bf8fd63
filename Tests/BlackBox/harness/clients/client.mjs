// SPDX-License-Identifier: Apache-2.0
// Three requests with fetch, or with http and an agent that keeps connections; one status a line.
import http from 'node:http'

const [url, token, mode] = process.argv.slice(2)
const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
const task = JSON.stringify({ type: 'node', payload: 'x'.repeat(200_000) })
const requests = [['GET', '/healthz'], ['POST', '/api/tasks', task], ['GET', '/api/stats']]
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })

async function fetched(method, path, body) {
  const answer = await fetch(url + path, { method, headers, body })
  await answer.arrayBuffer()
  return answer.status
}

function requested(method, path, body) {
  const more = mode === 'expect' && body ? { expect: '100-continue' } : {}
  return new Promise((resolve, reject) => {
    const request = http.request(url + path, { method, agent, headers: { ...headers, ...more } })
    request.on('response', answer => {
      answer.resume()
      answer.on('end', () => resolve(answer.statusCode))
    })
    request.on('error', reject)
    if (more.expect) request.on('continue', () => request.end(body))
    else request.end(body)
    if (more.expect) request.flushHeaders()
  })
}

for (const each of requests) {
  console.log(await (mode === 'fetch' ? fetched(...each) : requested(...each)))
}
agent.destroy()
