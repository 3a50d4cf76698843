//! What the pages say in Spanish: plain, and with “usted”.

use super::{Explanation, Texts};

pub(super) static TEXTS: Texts = Texts {
    sign_in_page: "Inicio de sesión",
    sign_in: "Iniciar sesión",
    sign_in_again: "Iniciar sesión de nuevo",
    another_way: "Iniciar sesión de otra manera",
    try_again: "Intentar de nuevo",
    front_page: "Ir a la página principal",
    reference_number: "Número de referencia:",
    contact: "Contacto:",

    choose: "¿Cómo desea iniciar sesión?",
    last_choice: "La última vez usó esta opción",

    sign_out_title: "¿Desea cerrar la sesión?",
    sign_out: "Cerrar la sesión",
    stay: "Seguir con la sesión abierta",
    signed_out_here: Explanation::new(
        "Ha cerrado la sesión aquí.",
        "Todavía no se ha podido avisar a los demás servidores de este sitio; se hará en cuanto sea posible. Hasta entonces, quien tenga una copia de su sesión podría usarla en ellos, como muy tarde hasta esta hora:",
    ),

    form_kept: Explanation::new(
        "Inicie sesión de nuevo, por favor.",
        "Su sesión terminó antes de que se enviara este formulario. Lo que ha escrito se conserva y se enviará cuando haya iniciado sesión.",
    ),
    form_not_storable: "No se pudo conservar en este navegador: vuelva atrás y cópielo antes de iniciar sesión, por favor.",
    form_needs_script: "Su navegador no ejecuta scripts aquí, así que el formulario no se puede conservar: copie lo que ha escrito antes de iniciar sesión, por favor.",
    form_sent: Explanation::new(
        "Su formulario se está enviando.",
        "Si no ocurre nada, vuelva a la página de la que venía, por favor.",
    ),
    fragment_kept: "Inicie sesión, por favor.",

    nothing_to_tell: Explanation::new(
        "Ya no hay nada que explicar.",
        "Esta página explica por qué no funcionó un inicio de sesión. Lo que tenía que explicar ya no se conoce.",
    ),
    stale: Explanation::new(
        "Este inicio de sesión ya no es válido.",
        "Tardó demasiado, ya se había utilizado o se empezó en otro navegador. No se ha perdido nada: inicie sesión de nuevo, por favor.",
    ),
    malformed: Explanation::new(
        "La respuesta a este inicio de sesión no llegó como debía.",
        "Inicie sesión de nuevo, por favor. Si llegó por un enlace o un marcador, utilice en su lugar las páginas del propio sitio.",
    ),
    access_denied: Explanation::new(
        "No se ha iniciado la sesión.",
        "El acceso se rechazó durante el inicio de sesión. Si no quería rechazarlo, inicie sesión de nuevo, por favor.",
    ),
    no_identity: Explanation::new(
        "No se pudo leer su membresía.",
        "Ha iniciado sesión, pero no se recibió su número de miembro. Comuníqueselo a los responsables de este sitio, por favor.",
    ),
    not_in_directory: Explanation::new(
        "Usted no figura aquí como miembro.",
        "Ha iniciado sesión, pero la dirección que utilizó no está en la lista de miembros. Pida a los responsables de este sitio que la añadan, por favor.",
    ),
    ambiguous_in_directory: Explanation::new(
        "No está claro qué miembro es usted.",
        "Ha iniciado sesión, pero la dirección que utilizó pertenece a varios miembros. Pida a los responsables de este sitio que asignen a cada uno una dirección propia, por favor.",
    ),
    lapsed: Explanation::new(
        "Su membresía no está activa.",
        "Ha iniciado sesión, pero su membresía ha terminado o está suspendida. Los responsables de este sitio pueden decirle cómo renovarla.",
    ),
    looping: Explanation {
        title: "El inicio de sesión da vueltas sin fin.",
        advice: "Se le ha enviado a iniciar sesión cinco veces en un minuto. Estas son las causas habituales:",
        points: &[
            "Su navegador no guarda las cookies de este sitio, o guarda una antigua con el mismo nombre de un sitio vecino. Permita las cookies de este sitio y borre las que haya.",
            "La fecha o la hora de su dispositivo no es correcta. Ajuste su reloj.",
            "El sitio le envía a iniciar sesión otra vez aunque acaba de hacerlo. Sus responsables pueden corregirlo: comuníqueselo con el número de referencia que aparece abajo.",
        ],
    },
    vendor_refuses: Explanation::new(
        "El inicio de sesión no está bien configurado.",
        "No es culpa suya. Comuníqueselo a los responsables de este sitio con el número de referencia que aparece abajo, por favor.",
    ),
    vendor_broken: Explanation::new(
        "El inicio de sesión no funcionó.",
        "El servicio de inicio de sesión dio una respuesta que no se entiende. Inténtelo de nuevo en unos minutos, por favor.",
    ),
    vendor_away: Explanation::new(
        "El inicio de sesión no está disponible en este momento.",
        "El servicio de inicio de sesión no responde. Inténtelo de nuevo en unos minutos, por favor.",
    ),

    target_too_long: Explanation::new(
        "Esta dirección es demasiado larga.",
        "Vuelva atrás y siga el enlace de nuevo, por favor.",
    ),
    too_many_cookies: Explanation::new(
        "Su navegador envía demasiadas cookies.",
        "Borre las cookies de este sitio en su navegador y abra la página de nuevo, por favor.",
    ),
    target_not_ascii: Explanation::new(
        "Esta dirección no está bien formada.",
        "Compruebe el enlace, por favor; en una dirección, las letras que no van de la A a la Z tienen que llevar codificación por ciento.",
    ),
    ambiguous_path: Explanation::new(
        "Esta dirección no es clara.",
        "Compruebe el enlace, por favor: su ruta se puede leer de varias maneras que se tratan de forma distinta.",
    ),
    unknown_expectation: Explanation::new(
        "La petición espera algo que aquí no se ofrece.",
        "Solo se entiende «Expect: 100-continue».",
    ),
    method_not_served: Explanation::new(
        "Este método no se atiende aquí.",
        "CONNECT, TRACE y los métodos que no están en mayúsculas no se transmiten.",
    ),
    going_in_circles: Explanation::new(
        "Esta petición da vueltas sin fin.",
        "Para los responsables de este sitio: un `upstream` de la pasarela lleva de vuelta a la propia pasarela.",
    ),
    method_not_allowed: Explanation::new(
        "Esta dirección no acepta ese método.",
        "Vuelva atrás e inténtelo de nuevo, por favor.",
    ),
    no_such_endpoint: Explanation::new(
        "No hay ninguna página en esta dirección.",
        "Compruebe el enlace o empiece por la página principal, por favor.",
    ),
    denied: Explanation::new(
        "Esta página no está abierta a nadie.",
        "Si la necesita, pregunte a los responsables de este sitio, por favor.",
    ),
    not_admitted: Explanation::new(
        "Esta página no está abierta a su membresía.",
        "Ha iniciado sesión, pero esta página es para otros miembros. Si cree que debería verla, pregunte a los responsables de este sitio, por favor.",
    ),
    cannot_be_named: Explanation::new(
        "No se puede indicar a la aplicación de este sitio quién es usted.",
        "Ha iniciado sesión, pero su número de miembro tiene una forma que esta aplicación no entiende. Por favor, comuníquelo a los responsables de este sitio.",
    ),
    membership_unknown: Explanation::new(
        "En este momento no se puede comprobar su membresía.",
        "El servicio que la conoce no responde. No se ha perdido nada: inténtelo de nuevo en unos minutos.",
    ),
    revocations_unknown: Explanation::new(
        "En este momento no se puede mostrar esta página.",
        "No se sabe si su sesión sigue abierta. No se ha perdido nada: inténtelo de nuevo en un minuto.",
    ),
    untrusted_proxy: Explanation::new(
        "Esta pregunta no se responde aquí.",
        "Para los responsables de este sitio: solo un proxy que figure en `trusted_proxies` puede preguntar por las peticiones de otros.",
    ),
    unclear_question: Explanation::new(
        "No está claro a qué petición se refiere.",
        "Para los responsables de este sitio: el proxy de delante tiene que indicar, una sola vez y sin contradecirse, X-Forwarded-Method, -Proto, -Host y -Uri, o bien X-Original-Method y X-Original-URL.",
    ),
    own_path_asked_about: Explanation::new(
        "Esta dirección es de la propia pasarela.",
        "Para los responsables de este sitio: el proxy de delante tiene que pasar a la pasarela todo lo que esté por debajo de /_gateway/, sin preguntarle antes.",
    ),
    foreign_origin: Explanation::new(
        "Otro sitio no puede conectarse aquí.",
        "Los responsables de este sitio pueden permitir un origen en una regla de su pasarela.",
    ),
    foreign_form: Explanation::new(
        "Su sesión sigue abierta.",
        "Otro sitio intentó cerrarla. Usted puede hacerlo en este.",
    ),
    too_many_sign_ins: Explanation::new(
        "Se inician demasiadas sesiones desde su red.",
        "Espere un minuto y vuelva a intentarlo, por favor.",
    ),
    form_not_kept: Explanation::new(
        "Su formulario no se pudo enviar de nuevo.",
        "Se conservó demasiado tiempo mientras iniciaba sesión, o pertenece a otra página. Rellénelo una vez más, por favor.",
    ),
    no_site_named: Explanation::new(
        "La petición no dice para qué sitio es.",
        "Tiene que nombrar un solo host, y bien formado.",
    ),
    unknown_site: Explanation::new(
        "Aquí no hay ningún sitio con ese nombre.",
        "Compruebe la dirección, por favor. Para los responsables de este sitio: el host tiene que ser el de una public_url en la configuración de la pasarela.",
    ),
    unasked_upgrade: Explanation::new(
        "El sitio dio una respuesta que no se entiende.",
        "Inténtelo de nuevo dentro de un momento, por favor. Si sigue igual, comuníqueselo a los responsables de este sitio.",
    ),
    upstream_away: Explanation::new(
        "El sitio no responde en este momento.",
        "Inténtelo de nuevo dentro de un momento, por favor. Si sigue igual, comuníqueselo a los responsables de este sitio.",
    ),
    upstream_full: Explanation::new(
        "Demasiadas personas usan este sitio en este momento.",
        "Espere unos segundos y vuelva a intentarlo, por favor.",
    ),
    upstream_silent: Explanation::new(
        "El sitio tarda demasiado en responder.",
        "Inténtelo de nuevo dentro de un momento, por favor. Si sigue igual, comuníqueselo a los responsables de este sitio.",
    ),
    request_broken_off: Explanation::new(
        "Lo que envió no llegó completo.",
        "Vuelva atrás y envíelo de nuevo, por favor.",
    ),
};
