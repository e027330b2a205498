/** `key`: manages the API keys of a server, running or not. */
import { dirname } from "../packages/std_path.ts";
import { z } from "../packages/zod.ts";
import { isThere } from "../files/stat.ts";
import { UserError } from "../options/user_error.ts";
import { dataFolderField } from "../server/options.ts";
import type { KeyRecord } from "../server/store/records.ts";
import { findDatabase, makeDataFolder } from "../server/storage/data_folder.ts";
import type { Keys } from "../server/store/keys.ts";
import { Store } from "../server/store/store.ts";
import { defineOptions } from "../options/schema.ts";
import { type Command, EXIT, type Io } from "./command.ts";
import { formatTable } from "../text.ts";

const ACTIONS = ["create", "list", "revoke"] as const;

const options = defineOptions({
  fields: {
    create: z.string().trim().min(1).max(100).optional().describe(
      "create a key with this name; its secret is printed once and only a hash is stored",
    ).meta({ value: "name" }),
    list: z.boolean().default(false).describe("list all keys, without their secrets"),
    revoke: z.string().optional().describe("revoke the key with this id")
      .meta({ value: "id" }),
    dataFolder: dataFolderField,
  },
  rules: [
    (_, given) =>
      ACTIONS.filter((action) => given[action] !== undefined && given[action] !== false).length ===
          1
        ? undefined
        : { option: "", message: "one of --create NAME, --list or --revoke ID is required" },
  ],
});

export const key: Command = {
  name: "key",
  summary: "create, list and revoke the server's API keys",
  details:
    "Changes take effect immediately, even while the server runs. Once a key exists, every " +
    "request needs one.",
  examples: ["key --create laptop", "key --list", "key --revoke key-…"],
  options,
  run,
};

async function run(
  { create, revoke, dataFolder }: ReturnType<typeof options.parse>,
  io: Io,
): Promise<number> {
  const store = Store.open(
    create === undefined ? await findDatabase(dataFolder) : await makeIfMissing(dataFolder, io),
  );
  try {
    if (create !== undefined) createKey(store.keys, create, io);
    else if (revoke !== undefined) revokeKey(store.keys, revoke, io);
    else listKeys(store.keys, io);
  } finally {
    store.close();
  }
  return EXIT.done;
}

/** A key may come before the server's first start. Returns the path of the database. */
async function makeIfMissing(folder: string, io: Io): Promise<string> {
  const isNew = !await isThere(folder), database = await makeDataFolder(folder);
  if (isNew) io.log(`created the data folder ${dirname(database)}`);
  return database;
}

function createKey(keys: Keys, name: string, io: Io): void {
  const { record: { id }, secret } = keys.create(name);
  io.log(`key ${id} (${name}): store it safely, it is not shown again`);
  io.result({ id, name, secret }, secret);
}

function revokeKey(keys: Keys, id: string, io: Io): void {
  const known = keys.list().find((each) => each.id === id);
  if (!known) {
    throw new UserError(`--revoke ${id}: no such key`, "`key --list` lists them");
  }
  if (!keys.revoke(id)) throw new UserError(`--revoke ${id}: already revoked`);
  if (!keys.anyActive()) {
    io.log("no keys left: on localhost the server now answers without one");
  }
  io.result({ id, name: known.name, revoked: true }, `revoked ${id} (${known.name})`);
}

function listKeys(keys: Keys, io: Io): void {
  const records = keys.list();
  const rows = records.map(({ id, name, createdAt, lastUsedAt, revokedAt }) => [
    id,
    name,
    revokedAt ? "revoked" : "active",
    date(createdAt),
    lastUsedAt ? date(lastUsedAt) : "never",
  ]);
  const text = rows.length
    ? formatTable(["id", "name", "state", "created", "last used"], rows)
    : "no keys";
  io.result(records.map(asJson), text);
}

function asJson({ id, name, createdAt, lastUsedAt, revokedAt }: KeyRecord) {
  return {
    id,
    name,
    created_at: createdAt,
    last_used_at: lastUsedAt ?? null,
    revoked_at: revokedAt ?? null,
  };
}

function date(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");
}
