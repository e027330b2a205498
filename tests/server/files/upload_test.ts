import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import OpenAI, { toFile } from "openai";
import { openSink } from "../../../src/server/files/sink.ts";
import {
  BOUNDARY,
  formBody,
  GOOD_LINE,
  joinBytes,
  postForm,
  uploadOf,
  withFilesServer,
} from "./support.ts";
import { until } from "../until.ts";

Deno.test("the official client uploads a file and reads it back", async () => {
  await withFilesServer({}, async ({ client, names, services }) => {
    const content = `${GOOD_LINE}\n${GOOD_LINE}\n`;
    const before = Math.floor(Date.now() / 1000);
    const made = await client.files.create({
      file: await toFile(new TextEncoder().encode(content), "häuser.jsonl"),
      purpose: "fine-tune",
      expires_after: { anchor: "created_at", seconds: 3600 },
    });
    assert(made.created_at >= before && made.created_at <= before + 60);
    assertEquals(
      { ...made, id: "", created_at: 0, expires_at: 0 },
      {
        id: "",
        object: "file",
        bytes: content.length,
        created_at: 0,
        expires_at: 0,
        filename: "häuser.jsonl",
        purpose: "fine-tune",
        status: "processed",
        status_details: null,
      } as unknown as typeof made,
    );
    assertEquals(made.expires_at, made.created_at + 3600);
    assertEquals(services.store.files.get(made.id)!.lines, 2);
    assertEquals(names(), [`${made.id}.jsonl`]);
    const read = await client.files.content(made.id);
    assertEquals(read.headers.get("content-type"), "application/jsonl");
    assertEquals(read.headers.get("x-content-type-options"), "nosniff");
    assertEquals(
      read.headers.get("content-disposition"),
      `attachment; filename="h_user.jsonl"; filename*=UTF-8''h%C3%A4user.jsonl`,
    );
    assertEquals(await read.text(), content);
  });
});

Deno.test("what a data folder holds is for the server's user only", async () => {
  await withFilesServer({}, async ({ url, services: { storage, store } }) => {
    const { json } = await postForm(url, uploadOf(GOOD_LINE));
    const mode = async (path: string) => (await Deno.stat(path)).mode! & 0o777;
    assertEquals(await mode(storage.filesFolder), 0o700);
    assertEquals(await mode(storage.filePath(store.files.get(json.id)!)), 0o600);
    assertEquals(await mode(storage.database), 0o600);
  });
});

Deno.test("names lose folders and control characters, and never become paths", async () => {
  const cases = [
    ["../../etc/passwd.jsonl", "passwd.jsonl"],
    ["..\\..\\windows\\data.jsonl", "data.jsonl"],
    ["/etc/cron.d/x.JSONL", "x.JSONL"],
    ["a\u0000b\u0007\u202e.jsonl", "ab.jsonl"],
    [`${"x".repeat(400)}.jsonl`, `${"x".repeat(249)}.jsonl`],
  ];
  await withFilesServer({}, async ({ url, names }) => {
    const expected: string[] = [];
    for (const [given, shown] of cases) {
      const { status, json } = await postForm(url, uploadOf(GOOD_LINE, { filename: given }));
      assertEquals([status, json.filename], [200, shown]);
      expected.push(`${json.id}.jsonl`);
    }
    assertEquals(names().sort(), expected.sort());
    for (const given of ["../../etc/passwd.conf", "..", "", "data.sh", "data.jsonl/.."]) {
      const { status, json } = await postForm(url, uploadOf(GOOD_LINE, { filename: given }));
      assertEquals([status, json.error!.param], [400, "file"], given);
    }
    assertEquals(names().length, cases.length);
  });
});

Deno.test("forms that lack something, or have it twice, are refused and named", async () => {
  const file = { name: "file", filename: "a.jsonl", content: GOOD_LINE };
  const purpose = { name: "purpose", content: "fine-tune" };
  const anchor = { name: "expires_after[anchor]", content: "created_at" };
  const seconds = (content: string) => ({ name: "expires_after[seconds]", content });
  const many = Array.from({ length: 30 }, (_, i) => ({ name: `f${i}`, content: "" }));
  const cases = [
    [[purpose], "file", "file is missing"],
    [[], "file", "file is missing"],
    [[file], "purpose", "purpose is missing, must be one of fine-tune, pretrain"],
    [[file, { ...purpose, content: "vision" }], "purpose", 'is "vision", must be one of'],
    [[purpose, purpose, file], "purpose", "purpose occurs twice"],
    [[purpose, file, file], "file", "file occurs twice"],
    [[purpose, { ...file, name: "other" }], "other", "the file's field is named file"],
    [[purpose, { ...file, filename: undefined }], "file", "file is missing"],
    [
      [purpose, { ...file, filename: "a.txt" }],
      "file",
      "file names for fine-tune must end in .jsonl",
    ],
    [[{ ...purpose, content: "x".repeat(2000) }, file], "purpose", "longer than 1024 bytes"],
    [[...many, purpose, file], undefined, "too many fields"],
    [[purpose, file, anchor], "expires_after[seconds]", "from 3600 to 2592000, got nothing"],
    [[purpose, file, seconds("3600")], "expires_after[anchor]", "must be created_at"],
    [[purpose, file, anchor, seconds("3599")], "expires_after[seconds]", "got 3599"],
    [[purpose, file, anchor, seconds("")], "expires_after[seconds]", "from 3600"],
    [[purpose, file, anchor, seconds("4e3x")], "expires_after[seconds]", "got 4e3x"],
  ] as const;
  await withFilesServer({}, async ({ url, names, services }) => {
    for (const [parts, param, message] of cases) {
      const { status, json } = await postForm(url, formBody(...parts));
      assertEquals([status, json.error!.param ?? undefined], [400, param], message);
      assertStringIncludes(json.error!.message, message);
    }
    assertEquals([names(), services.store.files.bytes()], [[], 0]);
  });
});

Deno.test("bodies that are no form are refused", async () => {
  await withFilesServer({}, async ({ url, names }) => {
    const types = { "application/json": 415, "": 415, "multipart/form-data": 400, "x/y": 415 };
    for (const [type, expected] of Object.entries(types)) {
      const { status } = await postForm(url, uploadOf(GOOD_LINE), { "content-type": type });
      assertEquals(status, expected, type);
    }
    const whole = uploadOf(`${GOOD_LINE}\n`.repeat(50));
    for (const length of [0, 1, 40, 100, 130, 300, 3000, whole.length - 5]) {
      const { status, json } = await postForm(url, whole.slice(0, length));
      assertEquals([status, json.error!.code], [400, "invalid_form"], String(length));
    }
    assertEquals(names(), []);
  });
});

Deno.test("a boundary that is only nearly one belongs to the data", async () => {
  await withFilesServer({}, async ({ url, client }) => {
    const content = JSON.stringify({ text: `a\r\n--${BOUNDARY.slice(0, -1)}` }) + "\r\n\r\n" +
      `${JSON.stringify({ text: `--${BOUNDARY}--` })}\r\n`;
    const { status, json } = await postForm(url, uploadOf(content, { purpose: "pretrain" }));
    assertEquals(status, 200);
    assertEquals(await (await client.files.content(json.id)).text(), content);
    const raw = `one\r\n--${BOUNDARY.slice(0, -1)}\r\n\r\n-- two\r\n-`;
    const text = await postForm(url, uploadOf(raw, { purpose: "pretrain", filename: "a.txt" }));
    assertEquals(await (await client.files.content(text.json.id)).text(), raw);
  });
});

Deno.test("a file over the limit is refused at its length, or where it passes the limit", async () => {
  await withFilesServer(
    { options: { maxUpload: 0.25 } },
    async ({ url, names, services, client }) => {
      const large = `${GOOD_LINE}\n`.repeat(4000);
      assert(large.length > 2 ** 18 + 2 ** 16);
      const error = await client.files.create({
        file: new File([large], "a.jsonl"),
        purpose: "fine-tune",
      }).catch((error) => error);
      assert(error instanceof OpenAI.APIError, String(error));
      assertEquals([error.status, error.code], [413, "file_too_large"]);
      // Without a length and an end: answered while the client is still sending.
      const upload = await startUpload(url, "Transfer-Encoding: chunked");
      await upload.sendChunk(uploadOf(GOOD_LINE).slice(0, -40));
      const space = new Uint8Array(1 << 14).fill(0x20);
      for (let i = 0; i < 17; i++) await upload.sendChunk(space);
      assertStringIncludes(await upload.answer(), "HTTP/1.1 413 ");
      upload.close();
      assertEquals(names(), []);
      assertEquals(services.store.files.bytes(), 0);
    },
  );
});

Deno.test("an exhausted quota is reported with numbers, and freed space can be used", async () => {
  await withFilesServer({ quota: 200_000 }, async ({ url, client, names, services }) => {
    const upload = (bytes: number) =>
      postForm(url, uploadOf(`{"text":"${"x".repeat(bytes)}"}`, { purpose: "pretrain" }));
    const first = await upload(150_000);
    assertEquals(first.status, 200);
    const second = await upload(100_000);
    assertEquals([second.status, second.json.error!.code], [413, "storage_quota_exceeded"]);
    assertStringIncludes(second.json.error!.message, "holds 146 KiB and may take 48");
    const streamed = await postForm(url, new Blob([uploadOf("x".repeat(100_000))]).stream());
    assertEquals([streamed.status, streamed.json.error!.code], [413, "storage_quota_exceeded"]);
    assertEquals(names().length, 1);
    await client.files.delete(first.json.id);
    assertEquals((await upload(150_000)).status, 200);
    assertEquals(await services.storage.free() < 50_000, true);
  });
});

Deno.test("a full disk is reported as such, leaves nothing behind, and the server keeps running", async () => {
  for (const failing of ["write", "sync"] as const) {
    let full = true;
    const open = async (path: string) => {
      const sink = await openSink(path);
      const fail = () => Promise.reject(Object.assign(new Error("no space"), { code: "ENOSPC" }));
      return full ? { ...sink, [failing]: fail } : sink;
    };
    await withFilesServer({ open }, async ({ url, names, services }) => {
      const body = uploadOf(`${GOOD_LINE}\n`.repeat(5000));
      const { status, json } = await postForm(url, body);
      assertEquals([status, json.error!.code], [413, "storage_quota_exceeded"]);
      assertEquals([names(), services.store.files.bytes()], [[], 0]);
      full = false;
      assertEquals((await postForm(url, body)).status, 200);
    });
  }
});

Deno.test("a client that disconnects midway leaves nothing behind", async () => {
  await withFilesServer({}, async ({ url, names, services }) => {
    for (const wait of [false, true]) {
      const body = uploadOf(`${GOOD_LINE}\n`.repeat(10_000));
      const upload = await startUpload(url, `Content-Length: ${body.length}`);
      await upload.send(body.slice(0, body.length / 2));
      if (wait) await until("the file is begun", () => names().length === 1);
      upload.close();
      await until("nothing of it is left", () => names().length === 0);
    }
    assertEquals(services.store.files.bytes(), 0);
  });
});

Deno.test("a client that stalls is given up", async () => {
  await withFilesServer({ stallMs: 100 }, async ({ url, names }) => {
    const upload = await startUpload(url, "Content-Length: 100000");
    await upload.send(uploadOf(`${GOOD_LINE}\n`.repeat(100)).slice(0, 5000));
    const answer = await upload.answer();
    assertStringIncludes(answer, "HTTP/1.1 408 ");
    assertStringIncludes(answer, '"request_timeout"');
    upload.close();
    await until("nothing of it is left", () => names().length === 0);
  });
});

Deno.test("a large file never is in memory", async () => {
  const lines = new TextEncoder().encode(`${GOOD_LINE}\n`.repeat(600));
  const form = uploadOf("");
  const end = `\r\n--${BOUNDARY}--\r\n`.length;
  const upload = async (url: string, size: number) => {
    let sent = 0;
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start: (controller) => controller.enqueue(form.slice(0, -end)),
      pull: (controller) => {
        if (sent < size) {
          sent += lines.length;
          return controller.enqueue(lines.slice());
        }
        controller.enqueue(form.slice(-end));
        controller.close();
      },
    });
    const { status, json } = await postForm(url, body);
    assertEquals(status, 200);
    return { id: json.id, sent };
  };
  await withFilesServer({}, async ({ url, services }) => {
    // Client and server are one process here: the first file shows what both need for any file.
    await upload(url, 32 * 2 ** 20);
    const before = Deno.memoryUsage().rss;
    let peak = 0;
    const watch = setInterval(() => {
      peak = Math.max(peak, Deno.memoryUsage().rss - before);
    }, 1);
    const { id, sent } = await upload(url, 128 * 2 ** 20);
    clearInterval(watch);
    assertEquals(services.store.files.get(id)!.bytes, sent);
    // Room for garbage that has not been collected yet (20 to 54 MiB were seen); a file in memory
    // would be all of it, and as a text that is parsed twice that.
    assert(peak < 0.75 * sent, `resident memory grew by ${peak} bytes for a file of ${sent}`);
  });
});

/** A misbehaving client. */
async function startUpload(url: string, header: string) {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(url).port) });
  const send = async (...pieces: (string | Uint8Array)[]) => {
    const bytes = joinBytes(...pieces);
    for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
  };
  await send(
    `POST /v1/files HTTP/1.1\r\nHost: x\r\n${header}\r\n`,
    `Content-Type: multipart/form-data; boundary=${BOUNDARY}\r\n\r\n`,
  );
  return {
    send,
    sendChunk: (chunk: Uint8Array) => send(`${chunk.length.toString(16)}\r\n`, chunk, "\r\n"),
    answer: async () => {
      const bytes = new Uint8Array(4096);
      return new TextDecoder().decode(bytes.subarray(0, await connection.read(bytes) ?? 0));
    },
    close: () => connection.close(),
  };
}

Deno.test({
  name: "HEAD of a file's content has its headers and leaves no file open",
  ignore: Deno.build.os !== "linux", // where open files can be counted
  fn: () =>
    withFilesServer({}, async ({ url }) => {
      const { json } = await postForm(url, uploadOf(GOOD_LINE));
      const head = async () => {
        const { status, headers } = await fetch(`${url}/${json.id}/content`, { method: "HEAD" });
        return [status, headers.get("content-length")];
      };
      const openFiles = () => [...Deno.readDirSync("/proc/self/fd")].length;
      await head();
      const before = openFiles();
      for (let i = 0; i < 50; i++) assertEquals(await head(), [200, `${GOOD_LINE.length}`]);
      assert(openFiles() < before + 25, `${before} files were open, now ${openFiles()}`);
    }),
});
