/**
 * Who may keep a connection open. Those that have not shown the token have a share of their own, in which the newest take
 * the place of the oldest: however many there are, a client with the token gets in, and says so with its first bytes.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export interface ConnectionLimits {
  readonly maxStrangers: number;
  readonly maxAuthorised: number;
}

export const defaultConnectionLimits: ConnectionLimits = { maxStrangers: 64, maxAuthorised: 128 };

/** The same for a TLS socket and the one below it, which is another object. */
const peerOf = ({ remoteAddress = '', remotePort = 0 }: Socket): string => `${remoteAddress} ${remotePort}`;

export class Connections {
  /** Oldest first. */
  private readonly strangers = new Map<string, Socket>();
  private readonly authorised = new Map<string, Socket>();
  /** Peers that are being answered. */
  private readonly busy = new Set<string>();

  constructor(private readonly limits: ConnectionLimits = defaultConnectionLimits) {}

  /** A connection was accepted; another one may be closed for it. */
  open(socket: Socket): void {
    // It is gone already.
    if (socket.remoteAddress === undefined) return void socket.destroy();
    const peer = peerOf(socket);
    this.strangers.set(peer, socket);
    socket.on('close', () => {
      for (const share of [this.strangers, this.authorised])
        if (share.get(peer) === socket) share.delete(peer);
    });
    if (this.strangers.size <= this.limits.maxStrangers) return;
    const peers = [...this.strangers.keys()];
    const oldest = peers.find((other) => !this.busy.has(other)) ?? peers[0]!;
    this.strangers.get(oldest)!.destroy();
    this.strangers.delete(oldest);
  }

  /** Whoever is being answered (the page's files, which are large) is not the first to go. */
  answering(socket: Socket, response: ServerResponse): void {
    const peer = peerOf(socket);
    this.busy.add(peer);
    response.on('close', () => this.busy.delete(peer));
  }

  /** A connection has shown the token. False where those have used up their share. */
  authorise(socket: Socket): boolean {
    const peer = peerOf(socket);
    const stranger = this.strangers.get(peer);
    if (stranger === undefined) return true;
    if (this.authorised.size >= this.limits.maxAuthorised) return false;
    this.strangers.delete(peer);
    this.authorised.set(peer, stranger);
    return true;
  }
}
