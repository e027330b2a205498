/**
 * An MPI library through Deno's foreign function interface: Open MPI or MPICH, whose handles are
 * pointers and numbers. Everything travels as bytes, so two handles are needed: all processes, and
 * the type of a byte.
 */
import { UserError } from "../options/user_error.ts";
import type { MpiFamily } from "./launch.ts";

/**
 * A handle is declared as 64 bits wide, which holds a pointer as well as an int: either has a register
 * or a place of eight bytes on the stack to itself, of which a library takes what it needs.
 */
const HANDLE = "u64";

const SYMBOLS = {
  MPI_Init_thread: { parameters: ["pointer", "pointer", "i32", "buffer"], result: "i32" },
  MPI_Comm_size: { parameters: [HANDLE, "buffer"], result: "i32" },
  MPI_Type_size: { parameters: [HANDLE, "buffer"], result: "i32" },
  MPI_Isend: {
    parameters: ["buffer", "i32", HANDLE, "i32", "i32", HANDLE, "buffer"],
    result: "i32",
  },
  MPI_Irecv: {
    parameters: ["buffer", "i32", HANDLE, "i32", "i32", HANDLE, "buffer"],
    result: "i32",
  },
  MPI_Test: { parameters: ["buffer", "buffer", "buffer"], result: "i32" },
  // On the thread of MPI_Init_thread, as the standard asks.
  MPI_Finalize: { parameters: [], result: "i32" },
  // The others move data and are called beside Deno's event loop.
  MPI_Send: {
    parameters: ["buffer", "i32", HANDLE, "i32", "i32", HANDLE],
    result: "i32",
    nonblocking: true,
  },
  MPI_Recv: {
    parameters: ["buffer", "i32", HANDLE, "i32", "i32", HANDLE, "buffer"],
    result: "i32",
    nonblocking: true,
  },
  MPI_Bcast: {
    parameters: ["buffer", "i32", HANDLE, "i32", HANDLE],
    result: "i32",
    nonblocking: true,
  },
  MPI_Alltoall: {
    parameters: ["buffer", "i32", HANDLE, "buffer", "i32", HANDLE, HANDLE],
    result: "i32",
    nonblocking: true,
  },
  MPI_Alltoallv: {
    parameters: [
      ...["buffer", "buffer", "buffer", HANDLE] as const,
      ...["buffer", "buffer", "buffer", HANDLE] as const,
      HANDLE,
    ],
    result: "i32",
    nonblocking: true,
  },
  MPI_Allgather: {
    parameters: ["buffer", "i32", HANDLE, "buffer", "i32", HANDLE, HANDLE],
    result: "i32",
    nonblocking: true,
  },
} as const;

/** In Open MPI a handle is made from Fortran's, a small number. */
const FROM_FORTRAN = {
  MPI_Comm_f2c: { parameters: ["i32"], result: HANDLE },
  MPI_Type_f2c: { parameters: ["i32"], result: HANDLE },
} as const;

/** Fortran's numbers in Open MPI (mpif-constants.h), and MPICH's handles (mpi.h). Part of their ABIs. */
const FORTRAN = { world: 0, byte: 1 };
const MPICH = { world: 0x44000000n, byte: 0x4c00010dn };

/** Of MPI_Init_thread: calls come from several threads, but never two at a time. */
const THREAD_SERIALIZED = 2;

/** The file names of each family's library, the most likely first. */
const LIBRARIES: Readonly<Record<MpiFamily, Partial<Record<typeof Deno.build.os, string[]>>>> = {
  openmpi: { linux: ["libmpi.so.40", "libmpi.so"], darwin: ["libmpi.40.dylib", "libmpi.dylib"] },
  mpich: { linux: ["libmpich.so.12", "libmpi.so.12"], darwin: ["libmpi.12.dylib"] },
};

/** Where to look besides the loader's own places. */
const FOLDERS: Partial<Record<typeof Deno.build.os, readonly string[]>> = {
  linux: [
    `/usr/lib/${Deno.build.arch}-linux-gnu`,
    "/usr/lib64/openmpi/lib",
    "/usr/lib64/mpich/lib",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
  ],
  darwin: ["/opt/homebrew/lib", "/usr/local/lib"],
};

/** How to get each. */
export const INSTALL: Readonly<Record<MpiFamily, string>> = {
  openmpi:
    "install Open MPI: on Debian and Ubuntu `sudo apt-get install openmpi-bin libopenmpi3`, " +
    "on a Mac `brew install open-mpi`",
  mpich: "install MPICH: on Debian and Ubuntu `sudo apt-get install mpich libmpich12`, on a Mac " +
    "`brew install mpich`",
};

const NAMES: Readonly<Record<MpiFamily, string>> = { openmpi: "Open MPI", mpich: "MPICH" };

type Library = Deno.DynamicLibrary<typeof SYMBOLS>;

/** An initialised library. */
export interface Mpi {
  readonly symbols: Library["symbols"];
  /** All processes. */
  readonly world: bigint;
  /** The type of a byte. */
  readonly byte: bigint;
}

/** Opens and initialises the library. Throws a {@link UserError} where it is missing or forbidden. */
export function openMpi(family: MpiFamily, size: number): Mpi {
  const { library, path } = openLibrary(family), { symbols } = library;
  const number = new Int32Array(1);
  symbols.MPI_Init_thread(null, null, THREAD_SERIALIZED, number);
  if (number[0] < THREAD_SERIALIZED) {
    throw new UserError(`${path}: this MPI was built without threads`, INSTALL[family]);
  }
  const { world, byte } = family === "openmpi" ? openMpiHandles(path) : MPICH;
  symbols.MPI_Type_size(byte, number);
  const [bytes] = number;
  symbols.MPI_Comm_size(world, number);
  if (bytes !== 1 || number[0] !== size) {
    const [known] = number;
    throw new UserError(
      `${path} knows ${known} processes where the launcher started ${size}: it is not the launcher's ` +
        "MPI",
      `start them with the mpirun that belongs to it, or ${INSTALL[family]}`,
    );
  }
  return { symbols, world, byte };
}

/** Where the library may be, by its path: what Deno must be allowed to open. */
export function libraryPlaces(family: MpiFamily): string[] {
  const { os } = Deno.build, names = LIBRARIES[family][os] ?? [];
  return (FOLDERS[os] ?? []).flatMap((folder) => names.map((name) => `${folder}/${name}`));
}

/**
 * By its name, as the loader finds it, or where Deno may only open what is named, by its path. Throws a
 * {@link UserError} where it is missing or forbidden.
 */
export function openLibrary(family: MpiFamily): { library: Library; path: string } {
  const { os } = Deno.build, names = LIBRARIES[family][os] ?? [];
  const paths = libraryPlaces(family);
  const isAllowed = (path?: string) =>
    Deno.permissions.querySync({ name: "ffi", path }).state === "granted";
  for (const path of isAllowed() ? [...names, ...paths] : paths.filter(isAllowed)) {
    try {
      return { library: Deno.dlopen(path, SYMBOLS), path };
    } catch {
      // It is not there, or lacks what every MPI has.
    }
  }
  const forbidden = paths.find((path) => !isAllowed(path) && exists(path));
  if (forbidden) return { library: permitted(forbidden), path: forbidden };
  throw new UserError(
    `${NAMES[family]} started this process with others, and its library was not found: ` +
      (names.join(", ") || `unknown on ${os}`),
    INSTALL[family],
  );
}

/** Deno asks, or refuses. */
function permitted(path: string): Library {
  try {
    return Deno.dlopen(path, SYMBOLS);
  } catch (error) {
    throw new UserError(
      `an MPI launcher started this process with others, and it may not open the library to speak to ` +
        `them: ${(error as Error).message}`,
    );
  }
}

/** As far as may be read: what Deno may not open, it may often not see either. */
function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    return error instanceof Deno.errors.NotCapable;
  }
}

function openMpiHandles(path: string): Pick<Mpi, "world" | "byte"> {
  const { symbols } = Deno.dlopen(path, FROM_FORTRAN);
  return {
    world: symbols.MPI_Comm_f2c(FORTRAN.world),
    byte: symbols.MPI_Type_f2c(FORTRAN.byte),
  };
}
